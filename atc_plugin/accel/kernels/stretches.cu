// What happens between two turns, per unit of value, in one line of eight numbers: `law/stretches.py`. Each is worked
// out once for all combinations, for stretches of less than `ages` bars; longer ones are walked by the same operations,
// so how many ages there are moves no bit.

#define LONG 0
#define SHORT 1
#define BOTH 0
#define LONG_ONLY 1

#define LINE 8  // numbers of a line
#define RUIN 1e-3  // a stretch that loses more is left to the plain way
#define EVEN 1e-8  // so is a trade that wins or loses less
#define SNAPS 2e-9  // and one whose exit and entry are as near

// How orders change a value: the fields of `law.stretches.Costs`, in their order.
struct Costs {
    i32 mode;
    double fees;
    double slippage;
    double bought;
    double sold;
    double covered;
    double short_cash;
    double shorted;
};

__device__ Costs costs_in(const double* costs) {
    return {(i32)costs[0], costs[1], costs[2], costs[3], costs[4], costs[5], costs[6], costs[7]};
}

struct Line {
    double factor;  // value after the order of the exit
    double high;
    double low;
    double inner;  // worst value/peak
    double sum;  // of returns
    double squares;
    double downside;
    double profit;
};

// Lines begin at multiples of their 64 bytes in arrays that every allocator begins at multiples of 16 at least, and two
// numbers are read or written at once.
struct alignas(16) Pair {
    double a;
    double b;
};

__device__ Line line_at(const double* lines, i64 place) {
    const Pair* const at = (const Pair*)(lines + place * LINE);
    const Pair first = at[0], second = at[1], third = at[2], fourth = at[3];
    return {first.a, first.b, second.a, second.b, third.a, third.b, fourth.a, fourth.b};
}

__device__ void write_line(const Line& line, double* lines, i64 place) {
    Pair* const at = (Pair*)(lines + place * LINE);
    at[0] = {line.factor, line.high};
    at[1] = {line.low, line.inner};
    at[2] = {line.sum, line.squares};
    at[3] = {line.downside, line.profit};
}

// The closes of one column.
struct Closes {
    const double* first;
    i64 step;
};

__device__ double close_at(const Closes& closes, i64 t) { return closes.first[t * closes.step]; }

// Cash and shares that are worth 1 right after an order.
struct Position {
    double cash;
    double shares;
};

__device__ Position position_at(double c, const Costs& costs, i32 side) {
    if (side == LONG) return {0.0, 1.0 / c};
    const double shares = -1.0 / (c * (1.0 - 2.0 * costs.slippage));
    return {-2.0 * c * (1.0 - costs.slippage) * shares, shares};
}

// A stretch on its way, since its entry at `c0`.
struct Open {
    i32 side;
    Position position;
    double c0;
    double value;
    double high;
    double low;
    double inner;
    double sum;
    double squares;
    double downside;
};

__device__ Open opened_at(double c0, const Costs& costs, i32 side) {
    return {side, position_at(c0, costs, side), c0, 1.0, 0.0, infinity(), 1.0, 0.0, 0.0, 0.0};
}

__device__ void pass_bar(Open& open, double c) {
    const double after = open.position.cash + open.position.shares * c;
    const double change = (after - open.value) / open.value;
    open.sum += change;
    open.squares += change * change;
    open.downside += change < 0.0 ? change * change : 0.0;
    open.high = larger(open.high, after);
    open.low = smaller(open.low, after);
    open.inner = smaller(open.inner, after / open.high);
    open.value = after;
}

// The profit; NaN where rounding would decide about it, as `law/stretches.py` says.
__device__ double profit_of(double gain, double paid, double gross, const Costs& costs, double c, double c0) {
    const bool same = costs.slippage == 0.0 && c == c0;
    if (fabs(gain) > EVEN * paid && (same || fabs(gross - 1.0) > SNAPS)) return gain;
    return costs.fees == 0.0 && same ? 0.0 : not_a_number();
}

// The line of a stretch that an order at the close `c` leaves, a bar after the last one that was passed.
__device__ Line left_at(double c, const Open& open, const Costs& costs) {
    const double cash = open.position.cash;
    const double shares = open.position.shares;
    double after, profit;
    if (open.side == LONG) {
        const double received = shares * c * costs.sold;
        const double gross = c / open.c0 * ((1.0 - costs.slippage) / (1.0 + costs.slippage));
        profit = profit_of(received - costs.covered, costs.covered, gross, costs, c, open.c0);
        after = costs.mode == BOTH ? received * costs.shorted : received;
    } else {
        const double received = -shares * open.c0 * costs.sold;
        const double gross = c / open.c0 * ((1.0 + costs.slippage) / (1.0 - costs.slippage));
        profit = profit_of(received + shares * c * costs.covered, received, gross, costs, c, open.c0);
        after = costs.mode == BOTH ? cash * costs.bought + shares * c : cash + shares * c * costs.covered;
    }
    const double change = (after - open.value) / open.value;
    const double low = smaller(open.low, after);
    const double high = larger(open.high, after);
    return {
        low >= RUIN ? after : not_a_number(),
        high,
        low,
        smaller(open.inner, after / high),
        open.sum + change,
        open.squares + change * change,
        open.downside + (change < 0.0 ? change * change : 0.0),
        profit,
    };
}

// The line of a stretch still open at the close `c`, the last one that was passed, valued there without costs.
__device__ Line held_at(double c, const Open& open, const Costs& costs) {
    const double shares = open.position.shares;
    const bool is_long = open.side == LONG;
    const double paid = is_long ? costs.covered : -shares * open.c0 * costs.sold;
    const double gain = is_long ? shares * c - costs.covered : paid + shares * c;
    const double gross = c / open.c0 / (is_long ? 1.0 + costs.slippage : 1.0 - costs.slippage);
    return {
        open.low >= RUIN ? open.value : not_a_number(),
        open.high,
        open.low,
        open.inner,
        open.sum,
        open.squares,
        open.downside,
        profit_of(gain, paid, gross, costs, c, open.c0),
    };
}

// Lines of the stretches from every bar to each of the next `ages` - 1 bars that the column has, by age; nothing is
// written for others. A line is 64 bytes written, for about 30 floating-point operations, five divisions among them;
// the closes come from the cache. Threads: (side, entry, column).
extern "C" __global__ void lines_of_stretches(
    const double* __restrict__ close,  // bars columns
    const i64* __restrict__ counts,  // columns
    i64 bars,
    i64 columns,
    const double* __restrict__ costs,  // 8
    i64 ages,
    double* __restrict__ lines  // columns 2 bars ages 8
) {
    const i64 thread = thread_number();
    if (thread >= 2 * bars * columns) return;
    const i64 row = thread / columns;
    const i64 column = thread - row * columns;
    const i32 side = row < bars ? LONG : SHORT;
    const i64 entry = side == LONG ? row : row - bars;
    const i64 count = counts[column];
    if (entry >= count) return;
    const Costs all = costs_in(costs);
    const Closes closes = {close + column, columns};
    const i64 place = (column * 2 * bars + row) * ages;
    Open open = opened_at(close_at(closes, entry), all, side);
    for (i64 age = 1; age < ages && entry + age < count; ++age) {
        const double c = close_at(closes, entry + age);
        write_line(left_at(c, open, all), lines, place + age);
        pass_bar(open, c);
    }
}

// Lines of the stretches still open at the last bar of each part, by side and age; nothing is written for those that
// would begin before the first bar. A thread walks as many bars as its stretch has, about 12 floating-point operations
// each, two of them divisions, and writes 64 bytes. Threads: (part, side, age, column).
extern "C" __global__ void lines_of_open_stretches(
    const double* __restrict__ close,  // ? columns
    i64 columns,
    const double* __restrict__ costs,  // 8
    i64 ages,
    const i64* __restrict__ ends,  // columns parts
    i64 parts,
    double* __restrict__ held  // columns parts 2 ages 8
) {
    const i64 thread = thread_number();
    const i64 rows = parts * 2 * ages;
    if (thread >= rows * columns) return;
    const i64 row = thread / columns;
    const i64 column = thread - row * columns;
    const i64 part_and_side = row / ages;
    const i64 age = row - part_and_side * ages;
    const i64 end = ends[column * parts + part_and_side / 2];
    if (age > end) return;
    const Costs all = costs_in(costs);
    const Closes closes = {close + column, columns};
    Open open = opened_at(close_at(closes, end - age), all, part_and_side % 2 == 0 ? LONG : SHORT);
    for (i64 t = end - age + 1; t <= end; ++t) pass_bar(open, close_at(closes, t));
    write_line(held_at(close_at(closes, end), open, all), held, column * rows + row);
}

// What the turns of one column's combinations are folded over.
struct Stretches {
    Closes closes;
    i64 bars;
    Costs costs;
    const double* lines;
    const double* held;
    i64 ages;
};

// The line of a stretch from the order at one bar to that at another, read or walked.
__device__ Line exit_line(const Stretches& stretches, i32 side, i32 entry, i32 exit) {
    const i64 age = exit - entry;
    if (age < stretches.ages) {
        const i64 row = side == LONG ? entry : stretches.bars + entry;
        return line_at(stretches.lines, row * stretches.ages + age);
    }
    Open open = opened_at(close_at(stretches.closes, entry), stretches.costs, side);
    for (i64 t = entry + 1; t < exit; ++t) pass_bar(open, close_at(stretches.closes, t));
    return left_at(close_at(stretches.closes, exit), open, stretches.costs);
}

// The line of a stretch still open at the last bar of a part.
__device__ Line held_line(const Stretches& stretches, i64 part, i32 side, i32 entry, i32 last) {
    const i64 age = last - entry;
    if (age < stretches.ages) {
        const i64 row = part * 2 + (side == LONG ? 0 : 1);
        return line_at(stretches.held, row * stretches.ages + age);
    }
    Open open = opened_at(close_at(stretches.closes, entry), stretches.costs, side);
    for (i64 t = entry + 1; t <= last; ++t) pass_bar(open, close_at(stretches.closes, t));
    return held_at(close_at(stretches.closes, last), open, stretches.costs);
}
