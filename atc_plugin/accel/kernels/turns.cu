// Where the direction of a combination turns: integer images of what its components say, 32 bars at a time.
//
// The average num/den lies above a level where the sum of vote*E - level*E is above zero. Rounded images of its terms,
// times a scale that all components of a regime share, add up to that sum but for DOUBT; where it is nearer to zero,
// num/den itself is computed. So a bar costs six additions of integers for either level, and the answer is the law's to
// the bit. A word holds 32 bars, the first bar lowest.

#define DOUBT 3  // six images, each off by half a unit and next to nothing
#define NEVER (-1000)  // an image where there is no average: neither above nor in doubt
#define RANGE 2147483584.0  // 2**31 - 64: what six images may add up to
#define ALL_BARS 0xffffffffu

// The scale of a regime's images for each level of average: the largest equities of the six types must fit into 31 bits
// together. 0 where it or its products would overflow or underflow. Each of a regime's components is read once, 8
// bytes and one comparison. Threads: (level, regime, column).
extern "C" __global__ void scales_of_images(
    const double* __restrict__ largest,  // components columns
    i64 components,
    i64 columns,
    const i64* __restrict__ by_type,  // components
    const i64* __restrict__ type_starts,  // regimes 6
    i64 regimes,
    const double* __restrict__ levels,  // count
    i64 count,
    double* __restrict__ scales  // count regimes columns
) {
    const i64 thread = thread_number();
    if (thread >= count * regimes * columns) return;
    const i64 j = thread / columns;
    const i64 column = thread - j * columns;
    const i64 regime = j % regimes;
    double total = 0.0;
    i64 next = type_starts[regime * 6];
    for (i64 type = 0; type < 6; ++type) {
        const i64 place = regime * 6 + type + 1;
        const i64 stop = place < regimes * 6 ? type_starts[place] : components;
        double most = 0.0;
        for (; next < stop; ++next) {
            const double one = largest[by_type[next] * columns + column];
            if (one > most) most = one;
        }
        total = total + most;
    }
    const double scale = RANGE / ((1.0 + fabs(levels[j / regimes])) * total);
    scales[thread] = 1e-200 < scale && scale < 1e200 ? scale : 0.0;
}

// round(sign * scale * (vote*E - level*E)), the component innermost and bars padded to whole words: that is how
// combinations read them, neighbours next to each other. NEVER where there is no average to rely on. Nine bytes read
// and 4 written for six floating-point operations; the reads of neighbours lie in rows of their own, which costs little
// beside the combinations that then share the images. Threads: (column, level, bar, component).
extern "C" __global__ void images_of_components(
    const i8* __restrict__ signals,  // ? bars columns
    const double* __restrict__ weights,  // components bars columns
    const i8* __restrict__ sound,  // components columns
    const i64* __restrict__ counts,  // columns
    i64 bars,
    i64 columns,
    const i64* __restrict__ signal_rows,  // components
    const i64* __restrict__ component_regimes,  // components
    i64 components,
    const i64* __restrict__ cutouts,  // regimes
    i64 regimes,
    const double* __restrict__ levels,  // count
    const double* __restrict__ scales,  // count regimes columns
    i64 count,
    double sign,
    i64 words,
    i32* __restrict__ images  // columns count words 32 components
) {
    const i64 thread = thread_number();
    const i64 width = words * 32;
    if (thread >= columns * count * width * components) return;
    const i64 row = thread / components;
    const i64 component = thread - row * components;
    const i64 side = row / width;
    const i64 t = row - side * width;
    const i64 column = side / count;
    const i64 level = side - column * count;
    const i64 regime = component_regimes[component];
    const double scale = scales[(level * regimes + regime) * columns + column];
    i32 image = NEVER;
    if (t >= cutouts[regime] && t < counts[column] && sound[component * columns + column] && scale > 0.0) {
        const i8 signal = signals[(signal_rows[component] * bars + t) * columns + column];
        const double weight = weights[(component * bars + t) * columns + column];
        const double voted = signal > 49 ? weight : signal < -49 ? -weight : 0.0;
        image = (i32)rint((sign * scale) * (voted - levels[level] * weight));
    }
    images[thread] = image;
}

// (sum vote*E) / (sum E) of six components at one bar, in the law's order. Called rather than inlined: it is seldom
// needed, and what it would keep in registers leaves room for fewer combinations at a time.
__device__ __noinline__ double average_at(
    const i8* signals,
    const double* weights,
    const i64* signal_rows,
    const i32* six,
    i64 bars,
    i64 columns,
    i64 column,
    i64 t
) {
    double num = 0.0;
    double den = 0.0;
    for (int k = 0; k < 6; ++k) {
        const double weight = weights[((i64)six[k] * bars + t) * columns + column];
        const double part = vote_of(signals[(signal_rows[six[k]] * bars + t) * columns + column]) * weight;
        num = k == 0 ? part : num + part;  // the first is not added to anything: -0.0 stays
        den = k == 0 ? weight : den + weight;
    }
    return num / den;
}

// The bars at which the direction of a combination turns: bit k of word w is bar 32*w + k. Turns alternate, so the
// direction after the first of them is all else there is to know. `relied` is 0, and nothing is found, where the images
// of one of its components cannot be relied on.
//
// Neighbours in grid order share most of their components: a warp reads one word for each of those and consecutive ones
// for the last. A bar is twelve reads of 4 bytes, mostly from the nearest cache, ten additions and as many operations
// on the two sums; what is done once a word comes to about two a bar, and 4 bytes are written a word. num/den is
// computed where an average is next to its level: seldom, unless weights are alike. Threads: (column, combination).
extern "C" __global__ void turns_of_combinations(
    const i8* __restrict__ signals,  // ? bars columns
    const double* __restrict__ weights,  // components bars columns
    const i8* __restrict__ sound,  // components columns
    const i64* __restrict__ counts,  // columns
    i64 bars,
    i64 columns,
    const i64* __restrict__ signal_rows,  // components
    const i64* __restrict__ component_regimes,  // components
    i64 components,
    const i64* __restrict__ cutouts,  // regimes
    i64 regimes,
    const i32* __restrict__ above_images,  // columns above_count words 32 components
    const double* __restrict__ above_scales,  // above_count regimes columns
    i64 above_count,
    const i32* __restrict__ below_images,  // columns below_count words 32 components
    const double* __restrict__ below_scales,  // below_count regimes columns
    i64 below_count,
    const i64* __restrict__ above_rows,  // ?
    const i64* __restrict__ below_rows,  // ?
    const double* __restrict__ long_thresholds,  // ?
    const double* __restrict__ short_thresholds,  // ?
    const i8* __restrict__ delayed,  // ?
    const i32* __restrict__ ids,  // combinations 7
    i64 combinations,
    i64 words,
    u32* __restrict__ masks,  // columns words combinations
    i8* __restrict__ first,  // columns combinations
    i8* __restrict__ relied  // columns combinations
) {
    const i64 thread = thread_number();
    if (thread >= columns * combinations) return;
    const i64 column = thread / combinations;
    const i64 combination = thread - column * combinations;
    u32* const mask = masks + column * words * combinations + combination;
    const i64 level = ids[combination * 7 + 6];
    const i64 above_row = above_rows[level];
    const i64 below_row = below_rows[level];
    u32 six[6];
    i8 sure = 1;
    for (int k = 0; k < 6; ++k) {
        six[k] = (u32)ids[combination * 7 + k];
        const i64 regime = component_regimes[six[k]];
        if (!sound[(i64)six[k] * columns + column]) sure = 0;
        if (!(above_scales[(above_row * regimes + regime) * columns + column] > 0.0)) sure = 0;
        if (!(below_scales[(below_row * regimes + regime) * columns + column] > 0.0)) sure = 0;
    }
    const i64 n = sure ? counts[column] : 0;
    const i64 start = cutouts[component_regimes[six[0]]];  // of all six: they are of one regime
    const i64 begin = start < n ? start / 32 : words;
    const i64 end = (n + 31) / 32;
    for (i64 w = 0; w < words; ++w) {
        if (w < begin || w >= end) mask[w * combinations] = 0;
    }

    const i32* above_at = above_images + (column * above_count + above_row) * words * 32 * components;
    const i32* below_at = below_images + (column * below_count + below_row) * words * 32 * components;
    const double over = long_thresholds[level];
    const double under = short_thresholds[level];
    const int late = delayed[level];
    u32 was_above = 0;  // bit 0: the last word's last bar was
    u32 was_below = 0;
    u32 late_up = 0;  // bit 0: a crossing of the last word's last bar that counts at the next
    u32 late_down = 0;
    int now = 0;  // direction
    i8 turned = 0;
    for (i64 w = begin; w < end; ++w) {
        const i64 base = w * 32;
        u32 above = 0;
        u32 below = 0;
        u32 doubt = 0;
        const i32* const over_at = above_at + base * components;
        const i32* const under_at = below_at + base * components;
        u32 at = 0;  // within a word 32 bits are enough, and halve the registers
        for (int k = 0; k < 32; ++k) {
            const i32 over_by = over_at[at + six[0]] + over_at[at + six[1]] + over_at[at + six[2]] +
                                over_at[at + six[3]] + over_at[at + six[4]] + over_at[at + six[5]];
            const i32 under_by = under_at[at + six[0]] + under_at[at + six[1]] + under_at[at + six[2]] +
                                 under_at[at + six[3]] + under_at[at + six[4]] + under_at[at + six[5]];
            const u32 bit = 1u << k;
            if (over_by > DOUBT) above |= bit;
            if (under_by > DOUBT) below |= bit;
            if ((over_by >= -DOUBT && over_by <= DOUBT) || (under_by >= -DOUBT && under_by <= DOUBT)) doubt |= bit;
            at += (u32)components;
        }
        while (doubt) {
            const u32 bit = doubt & (0u - doubt);
            const i64 t = base + __ffs((int)doubt) - 1;
            const double average =
                average_at(signals, weights, signal_rows, ids + combination * 7, bars, columns, column, t);
            above = average > over ? above | bit : above & ~bit;
            below = average < under ? below | bit : below & ~bit;
            doubt ^= bit;
        }
        u32 up = above & ~((above << 1) | was_above);  // crossed over: was not above
        u32 down = below & ~((below << 1) | was_below);
        was_above = above >> 31;
        was_below = below >> 31;
        if (start >= base && start - base < 32) {  // nothing is crossed before there are two averages
            const u32 known = (ALL_BARS << (start - base)) << 1;
            up &= known;
            down &= known;
        }
        if (late) {
            const u32 moved_up = up >> 31;
            const u32 moved_down = down >> 31;
            up = (up << 1) | late_up;
            down = (down << 1) | late_down;
            late_up = moved_up;
            late_down = moved_down;
            if (n - base < 32) {
                const u32 inside = ~(ALL_BARS << (n - base));
                up &= inside;
                down &= inside;
            }
        }
        if (now == 0 && (up | down) != 0) {
            const u32 earliest = (up | down) & (0u - (up | down));
            now = up & earliest ? -1 : 1;  // as if the opposite had been before
            turned = (i8)-now;
        }
        u32 wanted = now > 0 ? down : up;
        u32 other = now > 0 ? up : down;
        u32 turns = 0;
        while (wanted) {
            turns |= wanted & (0u - wanted);
            now = -now;
            const u32 later = other & ~(wanted ^ (wanted - 1u));
            other = wanted;
            wanted = later;
        }
        mask[w * combinations] = turns;
    }
    first[thread] = turned;
    relied[thread] = sure;
}
