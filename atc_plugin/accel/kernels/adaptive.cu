// What makes the averages adaptive: trend states and equities, the two layers, the vote, and the direction.

// Trend state and equity of every member of every regime (growth rate, decay, cutout). The trend is followed on the
// way: from sides of a byte it costs a few integer operations, less than a pass of its own would. A bar is 1 byte read
// and 9 written for 4 floating-point operations: memory decides with many columns, the chain of three dependent
// operations with few. Threads: (regime's member, column).
extern "C" __global__ void equities_of_averages(
    const i8* __restrict__ sides,  // ? bars columns
    const double* __restrict__ returns,  // bars columns
    const double* __restrict__ growth,  // ? bars
    i64 bars,
    i64 columns,
    const i64* __restrict__ members,  // count
    const i64* __restrict__ regimes,  // count
    i64 count,
    const i64* __restrict__ growth_rows,  // ?
    const i64* __restrict__ cutouts,  // ?
    const double* __restrict__ keeps,  // ?
    double* __restrict__ equities,  // count bars columns
    i8* __restrict__ states  // count bars columns
) {
    const i64 thread = thread_number();
    if (thread >= count * columns) return;
    const i64 j = thread / columns;
    const i64 column = thread - j * columns;
    const i64 size = bars * columns;
    const i64 cutout = cutouts[regimes[j]];
    const double keep = keeps[regimes[j]];
    const double* const rate = growth + growth_rows[regimes[j]] * bars;
    const i8* const side = sides + members[j] * size;
    i8 state = 0;
    i8 last = UNDEFINED;  // side at the last bar that had an average
    double equity = not_a_number();
    for (i64 t = 0; t < bars; ++t) {
        const i64 at = t * columns + column;
        const i8 now = side[at];
        if (now == ABOVE && (last == BELOW || last == EQUAL)) state = 1;
        if (now == BELOW && (last == ABOVE || last == EQUAL)) state = -1;
        if (now != UNDEFINED) last = now;
        if (t == cutout) equity = 1.0;
        equities[j * size + at] = equity;
        states[j * size + at] = state;
        if (t >= cutout && t + 1 < bars) {
            const double move = returns[at] * rate[t + 1 - cutout];
            const double rise = state > 0 ? move : state < 0 ? -move : 0.0;
            equity = at_least_floor((equity * keep) * (rise + 1.0));
        }
    }
}

// round2(sum state*E / sum E) over nine members in order, in hundredths; 0 where it is undefined. `series` gets the
// same as numbers, NaN where undefined. A member before its first cross adds nothing, as 0 * E does: its equity is
// finite. Nine times 9 bytes read, most of them from the cache, since neighbouring signals share members; 1 or 9
// written. Threads: (signal, bar, column).
extern "C" __global__ void layer_one(
    const double* __restrict__ equities,  // ? bars columns
    const i8* __restrict__ states,  // ? bars columns
    i64 bars,
    i64 columns,
    const i64* __restrict__ voters,  // count 9
    i64 count,
    i8* __restrict__ signals,  // count bars columns
    double* __restrict__ series  // count bars columns or none
) {
    const i64 thread = thread_number();
    const i64 size = bars * columns;
    if (thread >= count * size) return;
    const i64 j = thread / size;
    const i64 i = thread - j * size;
    double num = 0.0;
    double den = 0.0;
    for (i64 k = 0; k < 9; ++k) {
        const i64 at = voters[j * 9 + k] * size + i;
        const double equity = equities[at];
        const i8 state = states[at];
        const double part = state > 0 ? equity : state < 0 ? -equity : 0.0;
        num = k == 0 ? part : num + part;
        den = k == 0 ? equity : den + equity;
    }
    const double ratio = num / den;
    const double rounded = floor(fabs(ratio) * 100.0 + (0.5 + 1e-10));
    const double hundredths = ratio < 0.0 ? 0.0 - rounded : rounded;  // 0.0 - 0.0 is +0.0: no zero has a sign
    signals[thread] = hundredths == hundredths ? (i8)hundredths : (i8)0;
    if (series) series[thread] = hundredths / 100.0;
}

// Equity of every component's signal, from its own starting weight; whether it is finite on all of the column's bars,
// and the largest on them, 0 where it is not or where there is none. Threads: (component, column).
extern "C" __global__ void equities_of_signals(
    const i8* __restrict__ signals,  // ? bars columns
    const double* __restrict__ returns,  // bars columns
    const double* __restrict__ growth,  // ? bars
    const i64* __restrict__ counts,  // columns
    i64 bars,
    i64 columns,
    const i64* __restrict__ signal_rows,  // count
    const i64* __restrict__ regimes,  // count
    const double* __restrict__ starts,  // count
    i64 count,
    const i64* __restrict__ growth_rows,  // ?
    const i64* __restrict__ cutouts,  // ?
    const double* __restrict__ keeps,  // ?
    double* __restrict__ weights,  // count bars columns
    i8* __restrict__ sound,  // count columns
    double* __restrict__ largest  // count columns
) {
    const i64 thread = thread_number();
    if (thread >= count * columns) return;
    const i64 j = thread / columns;
    const i64 column = thread - j * columns;
    const i64 size = bars * columns;
    const i64 cutout = cutouts[regimes[j]];
    const double keep = keeps[regimes[j]];
    const double* const rate = growth + growth_rows[regimes[j]] * bars;
    const i8* const signal = signals + signal_rows[j] * size;
    double* const weight = weights + j * size;
    double a = 0.0;
    double equity = not_a_number();
    double most = 0.0;
    i8 finite = 1;
    for (i64 t = 0; t < bars; ++t) {
        const i64 at = t * columns + column;
        if (t == cutout) equity = at_least_floor(starts[j]);
        weight[at] = equity;
        if (t >= cutout && t < counts[column]) {
            if (!(equity - equity == 0.0)) finite = 0;
            if (equity > most) most = equity;
        }
        if (t >= cutout && t + 1 < bars) {
            const double move = returns[at] * rate[t + 1 - cutout];
            a = signal[at] > 0 ? move : signal[at] < 0 ? -move : a;
            equity = at_least_floor((equity * keep) * (a + 1.0));
        }
    }
    sound[thread] = finite;
    largest[thread] = finite ? most : 0.0;
}

// +1 above 0.49, -1 below -0.49, otherwise 0; of 100 * signal.
__device__ double vote_of(i8 signal) { return signal > 49 ? 1.0 : signal < -49 ? -1.0 : 0.0; }

// (sum vote*E) / (sum E) of six components, vote the sign of a signal beyond +-0.49. Threads: (configuration, bar,
// column).
extern "C" __global__ void average_of_votes(
    const i8* __restrict__ signals,  // ? bars columns
    const double* __restrict__ weights,  // ? bars columns
    i64 bars,
    i64 columns,
    const i64* __restrict__ signal_rows,  // ?
    const i64* __restrict__ components,  // count 6
    i64 count,
    double* __restrict__ average  // count bars columns
) {
    const i64 thread = thread_number();
    const i64 size = bars * columns;
    if (thread >= count * size) return;
    const i64 j = thread / size;
    const i64 i = thread - j * size;
    double num = 0.0;
    double den = 0.0;
    for (i64 k = 0; k < 6; ++k) {
        const i64 component = components[j * 6 + k];
        const i8 signal = signals[signal_rows[component] * size + i];
        const double equity = weights[component * size + i];
        num = num + vote_of(signal) * equity;  // not a choice of signs: 0 * NaN and 0 * inf are NaN
        den = den + equity;
    }
    average[thread] = num / den;
}

// 0 until the first cross; +1 where the average crosses over the one threshold, -1 where under the other.
// Threads: (configuration, column).
extern "C" __global__ void direction(
    const double* __restrict__ average,  // count bars columns
    i64 bars,
    i64 columns,
    const double* __restrict__ long_thresholds,  // count
    const double* __restrict__ short_thresholds,  // count
    i64 count,
    i8* __restrict__ directions  // count bars columns
) {
    const i64 thread = thread_number();
    if (thread >= count * columns) return;
    const i64 j = thread / columns;
    const i64 first = j * bars * columns + thread - j * columns;
    const double over = long_thresholds[j];
    const double under = short_thresholds[j];
    i8 turned = 0;
    int was_low = 0;
    int was_high = 0;
    for (i64 t = 0; t < bars; ++t) {
        const double level = average[first + t * columns];
        if (level == level) {
            if (level > over && was_low) turned = 1;
            if (level < under && was_high) turned = -1;
            was_low = level <= over;
            was_high = level >= under;
        }
        directions[first + t * columns] = turned;
    }
}
