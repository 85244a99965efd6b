// Combinations judged: turns folded over lines of stretches, a line a turn, as `law/judging.py` does.
//
// What is of combinations is [column][...][combination], the combination innermost. Turns come as words of 32 bars, the
// first bar lowest; they alternate, so the direction after the first tells that after each.

#define INIT_CASH 100.0  // vectorbt's default; metrics do not depend on it but for its snaps
#define ACCUMULATORS 12

// A portfolio, its value in units of the initial cash.
struct Run {
    double value;  // right after the last order
    double peak;
    double worst;  // value/peak
    double nearest;  // how near the cash came to the initial cash, where vectorbt's total return snaps
    double sum;
    double squares;
    double downside;
    double gains;
    double losses;
    i32 entry;  // its bar; -1 while flat
    i32 side;
    i32 trades;
    i32 held;
    i32 wins;
};

__device__ Run no_run() { return {1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1, LONG, 0, 0, 0}; }

// The order that ends being flat.
__device__ void enter(Run& run, const Costs& costs, i32 bar, i32 side) {
    const double factor = side == LONG ? costs.bought : costs.shorted;
    const double change = factor - 1.0;
    run.value = run.value * factor;
    run.entry = bar;
    run.side = side;
    run.worst = smaller(run.worst, run.value / run.peak);
    if (side == SHORT) {
        run.nearest = smaller(run.nearest, fabs(run.value * (costs.short_cash / costs.shorted) - 1.0));
    }
    run.trades += 1;
    run.sum += change;
    run.squares += change * change;
    run.downside += change * change;
}

// A line on top of a run: what it went through in a stretch of so many bars. What serves metrics of trades alone is
// left as it is where none is asked for; that the law adds nothing to it there moves no bit.
__device__ void apply_line(Run& run, const Line& line, i32 bars, bool trades) {
    const double gain = run.value * line.profit;
    run.worst = smaller(run.worst, smaller(line.inner, run.value * line.low / run.peak));
    run.peak = larger(run.peak, run.value * line.high);
    run.value = run.value * line.factor;
    run.sum += line.sum;
    run.squares += line.squares;
    if (trades) {
        run.downside += line.downside;
        run.held += bars;
        run.wins += gain > 0.0 ? 1 : 0;
        run.gains += gain > 0.0 ? gain : 0.0;
        run.losses += gain > 0.0 ? 0.0 : gain;  // a NaN goes here
    }
}

// The direction turns to `now`. A portfolio of both sides goes from the one to the other; of one side, it enters with a
// turn towards it and leaves with the next.
__device__ void turn(Run& run, const Stretches& stretches, i32 bar, i32 now, bool trades) {
    const Costs& costs = stretches.costs;
    if (run.entry >= 0) {
        apply_line(run, exit_line(stretches, run.side, run.entry, bar), bar - run.entry, trades);
        if (costs.mode == BOTH) {
            const double cash_factor = costs.short_cash / costs.shorted;
            run.nearest = smaller(run.nearest, fabs(run.value * cash_factor - 1.0));
            run.entry = bar;
            run.side = 1 - run.side;
            run.trades += 1;
        } else {
            run.nearest = smaller(run.nearest, fabs(run.value - 1.0));
            run.entry = -1;
        }
    } else if (costs.mode == BOTH || now == (costs.mode == LONG_ONLY ? 1 : -1)) {
        enter(run, costs, bar, now > 0 ? LONG : SHORT);
    }
}

// Whether there are gains or losses, none of them but a rounding of the values that were traded.
__device__ bool sure_of_profits(double gains, double losses, double peak) {
    const double least = 1e-6 * peak;
    return gains - losses > 0.0 && (gains == 0.0 || gains > least) && (losses == 0.0 || losses < -least);
}

// Whether a run that is over says all with certainty; where not, the plain way has to judge.
__device__ bool is_sure(const Run& run, double spread, double highest, bool trades) {
    if (run.trades == 0) return true;
    return run.worst < 1.0 - 1e-4
        && run.worst > 1e-5  // what is left of larger numbers
        && run.worst * INIT_CASH > larger(1e-6 * highest, 1e-9)  // orders far above the least size
        && fabs(run.value - 1.0) > 1e-4
        && fabs(run.sum) > 1e-3 * sqrt(run.squares)
        && spread > 1e-3 * run.squares
        && run.nearest > 4e-9 * run.peak  // it is 1 at most: so no peak where the initial cash is but a rounding
        && (!trades || (run.downside > 1e-6 * run.squares && sure_of_profits(run.gains, run.losses, run.peak)));
}

// Where twelve accumulators go, in the order of `law.metrics.ACCUMULATORS`, `step` apart.
struct Kept {
    double* first;
    i64 step;
};

__device__ void keep(const Kept& kept, const double (&accumulators)[ACCUMULATORS]) {
    for (i32 k = 0; k < ACCUMULATORS; ++k) kept.first[k * kept.step] = accumulators[k];
}

__device__ void keep_nothing(const Kept& kept) {
    const double nothing[ACCUMULATORS] = {};
    keep(kept, nothing);
}

// Accumulators of every combination over a column's own bars, and whether they are sure; nothing where the images do
// not tell the turns, or on columns that are not `regular`. A word of 32 bars is 4 bytes read, consecutive
// combinations side by side. A turn is a line of 64 bytes and about 20 floating-point operations, a division among
// them. Combinations that are neighbours turn at nearly the same bars: their lines are the same ones or lie side by
// side, and come from the cache. Threads: (column, combination).
extern "C" __global__ void accumulators_of_combinations(
    const double* __restrict__ close,  // bars columns
    const i64* __restrict__ counts,  // columns
    i64 bars,
    i64 columns,
    const i8* __restrict__ regular,  // columns
    const double* __restrict__ highest,  // columns
    const double* __restrict__ costs,  // 8
    const double* __restrict__ lines,  // columns 2 bars ages 8
    i64 ages,
    const double* __restrict__ held,  // columns parts 2 ages 8
    i64 parts,
    const i64* __restrict__ part_counts,  // columns
    const u32* __restrict__ masks,  // columns words combinations
    const i8* __restrict__ first,  // columns combinations
    const i8* __restrict__ relied,  // columns combinations
    i64 words,
    i64 combinations,
    i64 with_trades,
    double* __restrict__ values,  // columns 12 combinations
    i8* __restrict__ sure  // columns combinations
) {
    const i64 thread = thread_number();
    if (thread >= columns * combinations) return;
    const i64 column = thread / combinations;
    const i64 combination = thread - column * combinations;
    const Kept out = {values + column * ACCUMULATORS * combinations + combination, combinations};
    if (!regular[column] || !relied[thread]) {
        keep_nothing(out);
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
    const u32* const ours = masks + column * words * combinations + combination;
    Run run = no_run();
    i32 now = first[thread];
    for (i64 word = 0; word * 32 < n; ++word) {
        for (u32 mask = ours[word * combinations]; mask != 0; mask &= mask - 1) {
            turn(run, stretches, (i32)(word * 32) + __ffs((i32)mask) - 1, now, trades);
            now = -now;
        }
    }
    if (run.entry >= 0) {
        const Line line = held_line(stretches, part_counts[column] - 1, run.side, run.entry, (i32)n - 1);
        apply_line(run, line, (i32)n - run.entry, trades);
    }
    const double spread = run.squares - run.sum * run.sum / (double)n;
    const double accumulators[ACCUMULATORS] = {
        run.value - 1.0,
        run.value,
        (double)n,
        run.sum,
        spread,
        run.downside,
        run.worst - 1.0,
        (double)run.held,
        (double)run.trades,
        (double)run.wins,
        run.gains * INIT_CASH,
        run.losses * INIT_CASH,
    };
    keep(out, accumulators);
    sure[thread] = is_sure(run, spread, highest[column], trades) ? 1 : 0;
}
