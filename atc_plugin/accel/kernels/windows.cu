// Accumulators of windows of the bars, out of the same turns, as `law/windows.py` does: the windows' ends cut the bars
// into parts, each part's statistics are folded over stretches, and windows are put together from parts.

// What is kept of a part of a combination; the last three only where metrics of trades are asked for.
#define PART_HIGH 0
#define PART_LOW 1
#define PART_INNER 2
#define PART_SUM 3
#define PART_SQUARES 4
#define PART_DOWNSIDE 5
#define PART_IN_MARKET 6
#define PART_TRADES 7
#define PART_ORDERS 8
#define PART_GROWTH 9
#define PART_WINS 10
#define PART_GAINS 11
#define PART_LOSSES 12

// The parts of one combination: the same field of neighbouring combinations lies side by side.
struct Parts {
    double* first;
    i64 fields;
    i64 step;
};

__device__ double& field_of(const Parts& parts, i64 part, i64 field) {
    return parts.first[(part * parts.fields + field) * parts.step];
}

// What a portfolio has gone through in the current part.
struct Part {
    double high;  // values; 0 before the first
    double low;
    double inner;  // worst value/peak
    double sum;  // of returns
    double squares;
    double downside;
    i32 in_market;
    i32 trades;  // entered in it
    i32 orders;
};

// Where a portfolio stands between two turns.
struct Place {
    double value;  // right after the last order
    double before;  // value at the end of the part before
    i32 entry;  // bar of the last order; -1 while flat
    i32 side;
    i32 start;  // first bar of the current part
    i32 end;  // and its last
    i64 part;
    i64 part_of_entry;
};

__device__ Part no_part() { return {0.0, infinity(), 1.0, 0.0, 0.0, 0.0, 0, 0, 0}; }

// The part goes on, through values whose highest, lowest and worst value/peak are these.
__device__ void go_through(Part& part, double high, double low, double inner) {
    double worst = smaller(part.inner, inner);
    if (part.high > 0.0) worst = smaller(worst, low / part.high);
    part.inner = worst;
    part.high = larger(part.high, high);
    part.low = smaller(part.low, low);
}

// The part goes through the bars of a line on top of a value.
__device__ void go_along(Part& part, const Line& line, double value) {
    go_through(part, value * line.high, value * line.low, line.inner);
    part.sum += line.sum;
    part.squares += line.squares;
    part.downside += line.downside;
}

// The part goes through one bar.
__device__ void go_to(Part& part, double before, double now) {
    const double change = (now - before) / before;
    const double square = change * change;
    go_through(part, now, now, 1.0);
    part.sum += change;
    part.squares += square;
    part.downside += change < 0.0 ? square : 0.0;
}

// The part goes through the bars from its first to `last` of a stretch that was entered before them; the value at the
// last. Its sums are made anew: what the stretch had come to before may be far larger.
__device__ double walk_through(Part& part, const Stretches& stretches, const Place& place, i32 last) {
    Position position = position_at(close_at(stretches.closes, place.entry), stretches.costs, place.side);
    position.cash *= place.value;
    position.shares *= place.value;
    double before = position.cash + position.shares * close_at(stretches.closes, place.start - 1);
    for (i64 t = place.start; t <= last; ++t) {
        const double now = position.cash + position.shares * close_at(stretches.closes, t);
        go_to(part, before, now);
        before = now;
    }
    return before;
}

// The current part is over: what is flat or open goes on in the next, which ends at the bar `next_end`.
__device__ void end_part(Part& part, Place& place, const Stretches& stretches, const Parts& parts, i32 next_end) {
    double now = place.value;
    i32 bars = 0;
    if (place.entry < 0) {
        go_through(part, now, now, 1.0);
    } else {
        bars = place.end - (place.entry > place.start ? place.entry : place.start) + 1;
        if (place.entry < place.end) {
            const Line line = held_line(stretches, place.part, place.side, place.entry, place.end);
            now = place.value * line.factor;
            if (place.entry >= place.start - 1) {
                go_along(part, line, place.value);
            } else {
                walk_through(part, stretches, place, place.end);
            }
        }
    }
    field_of(parts, place.part, PART_HIGH) = part.high;
    field_of(parts, place.part, PART_LOW) = part.low;
    field_of(parts, place.part, PART_INNER) = part.inner;
    field_of(parts, place.part, PART_SUM) = part.sum;
    field_of(parts, place.part, PART_SQUARES) = part.squares;
    field_of(parts, place.part, PART_DOWNSIDE) = part.downside;
    field_of(parts, place.part, PART_IN_MARKET) = (double)(part.in_market + bars);
    field_of(parts, place.part, PART_TRADES) = (double)part.trades;
    field_of(parts, place.part, PART_ORDERS) = (double)part.orders;
    field_of(parts, place.part, PART_GROWTH) = now / place.before;
    part = no_part();
    place.before = now;
    place.start = place.end + 1;
    place.end = next_end;
    place.part += 1;
}

// A trade is over: what it made counts for the part in which it was entered.
__device__ void book(const Parts& parts, i64 part, double gain) {
    if (gain > 0.0) {
        field_of(parts, part, PART_WINS) += 1.0;
        field_of(parts, part, PART_GAINS) += gain;
    } else {
        field_of(parts, part, PART_LOSSES) += gain;  // a NaN goes here
    }
}

// The direction turns to `now` in the current part.
__device__ void turn_in_part(
    Part& part, Place& place, const Stretches& stretches, const Parts& parts, i32 bar, i32 now, bool trades
) {
    const Costs& costs = stretches.costs;
    const double value = place.value;
    if (place.entry >= 0) {
        const Line line = exit_line(stretches, place.side, place.entry, bar);
        const double after = value * line.factor;
        if (place.entry >= place.start - 1) {
            go_along(part, line, value);
        } else {
            const double before = walk_through(part, stretches, place, bar - 1);
            go_to(part, before, after);
        }
        part.in_market += bar - (place.entry > place.start ? place.entry : place.start);
        part.orders += 1;
        if (trades) book(parts, place.part_of_entry, value * line.profit);
        place.value = after;
        if (costs.mode == BOTH) {
            part.trades += 1;
            place.entry = bar;
            place.side = 1 - place.side;
        } else {
            place.entry = -1;
        }
        place.part_of_entry = place.part;
    } else if (costs.mode == BOTH || now == (costs.mode == LONG_ONLY ? 1 : -1)) {
        if (bar > place.start) go_through(part, value, value, 1.0);
        place.value = value * (now > 0 ? costs.bought : costs.shorted);
        go_to(part, value, place.value);
        part.trades += 1;
        part.orders += 1;
        place.entry = bar;
        place.side = now > 0 ? LONG : SHORT;
        place.part_of_entry = place.part;
    }
}

// Accumulators of the window of `n` bars that parts first .. last - 1 make up; whether they are sure.
__device__ bool keep_window(const Parts& parts, i64 first, i64 last, i64 n, bool trades, const Kept& out) {
    double growth = 1.0, worst = 1.0, peak = 0.0, orders = 0.0;
    double total = 0.0, squares = 0.0, downside = 0.0, in_market = 0.0;
    double entered = 0.0, wins = 0.0, gains = 0.0, losses = 0.0;
    for (i64 p = first; p < last; ++p) {
        if (peak > 0.0) worst = smaller(worst, field_of(parts, p, PART_LOW) / peak);
        worst = smaller(worst, field_of(parts, p, PART_INNER));
        peak = larger(peak, field_of(parts, p, PART_HIGH));
        growth *= field_of(parts, p, PART_GROWTH);
        total += field_of(parts, p, PART_SUM);
        squares += field_of(parts, p, PART_SQUARES);
        downside += field_of(parts, p, PART_DOWNSIDE);
        in_market += field_of(parts, p, PART_IN_MARKET);
        entered += field_of(parts, p, PART_TRADES);
        orders += field_of(parts, p, PART_ORDERS);
        if (trades) {
            wins += field_of(parts, p, PART_WINS);
            gains += field_of(parts, p, PART_GAINS);
            losses += field_of(parts, p, PART_LOSSES);
        }
    }
    const double spread = n > 0 ? squares - total * total / (double)n : 0.0;
    bool sure = true;
    if (squares > 0.0 || orders > 0.0) {  // returns of nothing at all have no rounding
        sure = squares > 0.0
            && fabs(growth - 1.0) > 1e-5
            && worst < 1.0 - 1e-5
            && fabs(total) > 1e-4 * sqrt(squares)
            && (spread > 1e-3 * squares || n < 2)
            && (!trades || downside > 1e-6 * squares);
    }
    if (trades) sure = sure && (sure_of_profits(gains, losses, peak) || entered == 0.0);
    const double accumulators[ACCUMULATORS] = {
        growth - 1.0, growth, (double)n, total, spread, downside, worst - 1.0, in_market, entered, wins,
        gains * INIT_CASH, losses * INIT_CASH,
    };
    keep(out, accumulators);
    return sure;
}

// Accumulators of every combination over each window of a column, and whether those of all its windows are sure; that
// the ones over all bars are is not asked here. `room` holds the parts, 80 bytes or 104 each. Beside what the fold over
// all bars reads, a part is written once and read by every window that it belongs to, for about 15 floating-point
// operations a time; a stretch that began before its part is walked from there on. Threads: (column, combination).
extern "C" __global__ void accumulators_of_windows(
    const double* __restrict__ close,  // bars columns
    const i64* __restrict__ counts,  // columns
    i64 bars,
    i64 columns,
    const i8* __restrict__ regular,  // columns
    const double* __restrict__ costs,  // 8
    const double* __restrict__ lines,  // columns 2 bars ages 8
    i64 ages,
    const double* __restrict__ held,  // columns parts 2 ages 8
    const i64* __restrict__ ends,  // columns parts
    i64 parts,
    const i64* __restrict__ part_counts,  // columns
    const i64* __restrict__ first_parts,  // columns windows
    const i64* __restrict__ last_parts,  // columns windows
    const i64* __restrict__ starts,  // columns windows
    const i64* __restrict__ stops,  // columns windows
    i64 windows,
    const u32* __restrict__ masks,  // columns words combinations
    const i8* __restrict__ first,  // columns combinations
    const i8* __restrict__ relied,  // columns combinations
    i64 words,
    i64 combinations,
    i64 with_trades,
    i64 fields,
    double* __restrict__ room,  // columns parts fields combinations
    double* __restrict__ values,  // columns windows 12 combinations
    i8* __restrict__ sure  // columns combinations
) {
    const i64 thread = thread_number();
    if (thread >= columns * combinations) return;
    const i64 column = thread / combinations;
    const i64 combination = thread - column * combinations;
    Kept out = {values + column * windows * ACCUMULATORS * combinations + combination, combinations};
    const i64 a_window = ACCUMULATORS * combinations;
    if (!regular[column] || !relied[thread]) {
        for (i64 w = 0; w < windows; ++w, out.first += a_window) keep_nothing(out);
        sure[thread] = 0;
        return;
    }
    const bool trades = with_trades != 0;
    const i64 n = counts[column];
    const i64 width = 2 * ages * LINE;
    const Stretches stretches = {
        {close + column, columns}, bars, costs_in(costs), lines + column * bars * width, held + column * parts * width,
        ages,
    };
    const Parts all = {room + column * parts * fields * combinations + combination, fields, combinations};
    const i64 count = part_counts[column];
    const i64* const end = ends + column * parts;
    for (i64 p = 0; trades && p < count; ++p) {
        field_of(all, p, PART_WINS) = 0.0;
        field_of(all, p, PART_GAINS) = 0.0;
        field_of(all, p, PART_LOSSES) = 0.0;
    }
    const u32* const ours = masks + column * words * combinations + combination;
    Part part = no_part();
    Place place = {1.0, 1.0, -1, LONG, 0, (i32)end[0], 0, 0};
    i32 now = first[thread];
    for (i64 word = 0; word * 32 < n; ++word) {
        for (u32 mask = ours[word * combinations]; mask != 0; mask &= mask - 1) {
            const i32 bar = (i32)(word * 32) + __ffs((i32)mask) - 1;
            while (bar > place.end) end_part(part, place, stretches, all, (i32)end[place.part + 1]);
            turn_in_part(part, place, stretches, all, bar, now, trades);
            now = -now;
        }
    }
    while (place.part < count) {
        const i64 next = place.part + 1 < count ? place.part + 1 : place.part;
        end_part(part, place, stretches, all, (i32)end[next]);
    }
    if (trades && place.entry >= 0) {
        const Line line = held_line(stretches, count - 1, place.side, place.entry, (i32)n - 1);
        book(all, place.part_of_entry, place.value * line.profit);
    }
    bool all_sure = true;
    for (i64 w = 0; w < windows; ++w, out.first += a_window) {
        const i64 at = column * windows + w;
        const i64 bars_of_window = stops[at] - starts[at];
        const bool ours_is = keep_window(all, first_parts[at], last_parts[at], bars_of_window, trades, out);
        all_sure = all_sure && ours_is;
    }
    sure[thread] = all_sure ? 1 : 0;
}
