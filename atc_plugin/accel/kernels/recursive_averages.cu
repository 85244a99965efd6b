// The averages that remember, EMA, DEMA, SMA and KAMA: a thread has one average of one column and walks along the bars.
//
// Parallel over (average, column) only; with one column that is some hundred threads, each waiting for its own chain of
// 3 (EMA) to 8 (rolling sum) dependent operations a bar. Small blocks spread them over the multiprocessors, and the
// four kernels need nothing of each other, so streams may run them side by side.

// One bar of the rolling sum: a compensated machine with a state of two numbers.
typedef struct {
    double sum;
    double rest;
} Rsum;

// Whether the machine starts afresh at a value. The law asks c != 0, v != 0 and |c| - ((v + |c|) - v) > 0 with v + |c|
// finite and not zero: this is equal in each of the excluded cases, and false with NaN.
__device__ int restarts_at(double v, double c) {
    const double b = fabs(c);
    return b > (b + v) - v;
}

// The step that does not start afresh; returns what enters the ring. While the window fills nothing leaves, and the
// value is added alone: the general step would round s - c first.
__device__ double rsum_step(Rsum* state, double v, double old, int filling) {
    const double s = state->sum;
    double u = s;
    double e1 = state->rest;
    if (!filling) {
        const double y1 = old + state->rest;  // the law's y1 is the negative of this
        u = s - y1;
        e1 = (u - s) + y1;
    }
    const double y2 = v - e1;
    const double total = u + y2;
    state->rest = (total - u) - y2;
    state->sum = total;
    return y2;
}

// The rolling sum of all values so far: until its window is full, the machine does not know its length, so these are
// the seeds of all EMAs. `plain` holds the same sums made plainly, newest first. Threads: column.
extern "C" __global__ void sums_from_the_start(
    const double* __restrict__ x,  // bars columns
    const double* __restrict__ plain,  // bars columns
    i64 bars,
    i64 columns,
    double* __restrict__ sums  // bars columns
) {
    const i64 column = thread_number();
    if (column >= columns) return;
    Rsum state = {0.0, 0.0};
    for (i64 at = column; at < bars * columns; at += columns) {
        const double v = x[at];
        if (restarts_at(v, state.rest)) {
            state.sum = plain[at];
            state.rest = 0.0;
        } else {
            rsum_step(&state, v, 0.0, 1);
        }
        sums[at] = state.sum;
    }
}

// e = e + alpha * (x - e), from the mean of the first L values on. Threads: (EMA, column).
extern "C" __global__ void ema(
    const double* __restrict__ x,  // bars columns
    const double* __restrict__ close,  // bars columns
    i64 bars,
    i64 columns,
    const double* __restrict__ first_sums,  // ? columns
    const i64* __restrict__ lengths,  // count
    const double* __restrict__ alphas,  // count
    const i64* __restrict__ rows,  // count
    const i64* __restrict__ kept,  // count
    i64 count,
    i8* __restrict__ sides,  // ? bars columns
    double* __restrict__ averages  // ? bars columns or none
) {
    const i64 thread = thread_number();
    if (thread >= count * columns) return;
    const i64 j = thread / columns;
    const i64 column = thread - j * columns;
    const i64 size = bars * columns;
    const i64 length = lengths[j];
    const double alpha = alphas[j];
    i8* const side = sides + rows[j] * size;
    double* const average = kept[j] >= 0 ? averages + kept[j] * size : 0;
    double e = not_a_number();
    for (i64 t = 0; t < bars; ++t) {
        const i64 at = t * columns + column;
        e = t == length - 1 ? first_sums[at] / (double)length : e + alpha * (x[at] - e);
        side[at] = side_of(close[at], e);
        if (average) average[at] = e;
    }
}

// 2 * e1 - e2, e1 the EMA of x and e2 the EMA of e1, seeded with the rolling sum of the first L values of e1. That
// machine may start afresh from what it has seen, so those values are kept, in `firsts`, a slot for each. Threads:
// (DEMA, column).
extern "C" __global__ void dema(
    const double* __restrict__ x,  // bars columns
    const double* __restrict__ close,  // bars columns
    i64 bars,
    i64 columns,
    const double* __restrict__ first_sums,  // ? columns
    const i64* __restrict__ lengths,  // count
    const double* __restrict__ alphas,  // count
    const i64* __restrict__ slots,  // count
    const i64* __restrict__ rows,  // count
    const i64* __restrict__ kept,  // count
    i64 count,
    double* firsts,  // ? columns
    i8* __restrict__ sides,  // ? bars columns
    double* __restrict__ averages  // ? bars columns or none
) {
    const i64 thread = thread_number();
    if (thread >= count * columns) return;
    const i64 j = thread / columns;
    const i64 column = thread - j * columns;
    const i64 size = bars * columns;
    const i64 length = lengths[j];
    const double alpha = alphas[j];
    double* const first = firsts + slots[j] * columns + column;
    i8* const side = sides + rows[j] * size;
    double* const average = kept[j] >= 0 ? averages + kept[j] * size : 0;
    Rsum state = {0.0, 0.0};
    double e1 = not_a_number();
    double e2 = not_a_number();
    for (i64 t = 0; t < bars; ++t) {
        const i64 at = t * columns + column;
        e1 = t == length - 1 ? first_sums[at] / (double)length : e1 + alpha * (x[at] - e1);
        e2 = e2 + alpha * (e1 - e2);
        if (t >= length - 1 && t <= 2 * length - 2) {
            const i64 seen = t - (length - 1);
            if (restarts_at(e1, state.rest)) {
                double s = e1;
                for (i64 k = seen - 1; k >= 0; --k) s = first[k * columns] + s;
                state.sum = s;
                state.rest = 0.0;
            } else {
                rsum_step(&state, e1, 0.0, 1);
            }
            first[seen * columns] = e1;
            if (seen == length - 1) e2 = state.sum / (double)length;
        }
        const double m = e1 * 2.0 - e2;
        side[at] = side_of(close[at], m);
        if (average) average[at] = m;
    }
}

// RSUM(x, L) / L, L > 1: the SMA of one bar is the bar. `plain` holds the sums to restart from, a row for each length;
// `entered` the rings of what entered each sum, L slots from `slots` on, so what leaves is read from where the new
// value goes; a bar ahead, because a load from the ring takes longer than a step. Threads: (SMA, column).
extern "C" __global__ void sma(
    const double* __restrict__ x,  // bars columns
    const double* __restrict__ close,  // bars columns
    i64 bars,
    i64 columns,
    const double* __restrict__ plain,  // count bars columns
    const i64* __restrict__ lengths,  // count
    const i64* __restrict__ slots,  // count
    const i64* __restrict__ rows,  // count
    const i64* __restrict__ kept,  // count
    i64 count,
    double* entered,  // ? columns
    i8* __restrict__ sides,  // ? bars columns
    double* __restrict__ averages  // ? bars columns or none
) {
    const i64 thread = thread_number();
    if (thread >= count * columns) return;
    const i64 j = thread / columns;
    const i64 column = thread - j * columns;
    const i64 size = bars * columns;
    const i64 length = lengths[j];
    double* const ring = entered + slots[j] * columns + column;
    i8* const side = sides + rows[j] * size;
    double* const average = kept[j] >= 0 ? averages + kept[j] * size : 0;
    Rsum state = {0.0, 0.0};
    double leaves = 0.0;
    i64 h = 0;
    for (i64 t = 0; t < bars; ++t) {
        const i64 at = t * columns + column;
        const double v = x[at];
        const i64 next = h + 1 == length ? 0 : h + 1;
        const double leaves_next = t + 1 >= length ? ring[next * columns] : 0.0;
        double enters = v;
        if (restarts_at(v, state.rest)) {
            state.sum = plain[j * size + at];
            state.rest = 0.0;
        } else {
            enters = rsum_step(&state, v, leaves, t < length);
        }
        ring[h * columns] = enters;
        h = next;
        leaves = leaves_next;
        const double m = t >= length - 1 ? state.sum / (double)length : not_a_number();
        side[at] = side_of(close[at], m);
        if (average) average[at] = m;
    }
}

// k = k + m * (x - k), m the square of ratio * (0.666 - 0.064) + 0.064; ratio = |x_t - x_{t-L}| / RSUM(moves, L), 0
// before bar L and where nothing has moved. The rolling sum is that of `sma`, one bar late: no move leads into the
// first bar. Threads: (KAMA, column).
extern "C" __global__ void kama(
    const double* __restrict__ x,  // bars columns
    const double* __restrict__ close,  // bars columns
    const double* __restrict__ moves,  // bars columns
    i64 bars,
    i64 columns,
    const double* __restrict__ plain,  // count bars columns
    const i64* __restrict__ lengths,  // count
    const i64* __restrict__ slots,  // count
    const i64* __restrict__ rows,  // count
    const i64* __restrict__ kept,  // count
    i64 count,
    double* entered,  // ? columns
    i8* __restrict__ sides,  // ? bars columns
    double* __restrict__ averages  // ? bars columns or none
) {
    const i64 thread = thread_number();
    if (thread >= count * columns) return;
    const i64 j = thread / columns;
    const i64 column = thread - j * columns;
    const i64 size = bars * columns;
    const i64 length = lengths[j];
    double* const ring = entered + slots[j] * columns + column;
    i8* const side = sides + rows[j] * size;
    double* const average = kept[j] >= 0 ? averages + kept[j] * size : 0;
    Rsum state = {0.0, 0.0};
    double k = 0.0;
    double leaves = 0.0;
    i64 h = 0;
    for (i64 t = 0; t < bars; ++t) {
        const i64 at = t * columns + column;
        const double now = x[at];
        if (t > 0) {
            const double v = moves[at];
            const i64 next = h + 1 == length ? 0 : h + 1;
            const double leaves_next = t >= length ? ring[next * columns] : 0.0;  // unused with L = 1
            double enters = v;
            if (length == 1 || restarts_at(v, state.rest)) {
                state.sum = plain[j * size + at];
                state.rest = 0.0;
            } else {
                enters = rsum_step(&state, v, leaves, t <= length);
            }
            ring[h * columns] = enters;
            h = next;
            leaves = leaves_next;
        }
        const double noise = state.sum;
        double ratio = 0.0;
        if (t >= length && (noise < 0.0 || noise > 0.0)) ratio = fabs(now - x[at - length * columns]) / noise;
        double m = ratio * (0.666 - 0.064) + 0.064;
        m = m * m;
        k = k + m * (now - k);
        side[at] = side_of(close[at], k);
        if (average) average[at] = k;
    }
}
