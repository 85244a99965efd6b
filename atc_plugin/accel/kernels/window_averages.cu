// The averages of a window, WMA, LSMA and Hull, and the plain sums that the rolling sum restarts from: parallel over
// time.
//
// The law adds a window's values oldest first (or newest first), so the sums of all lengths that begin at one bar are
// one chain of additions and each length is a snapshot of it. A thread has one chain: sum of lengths becomes longest
// length, for N lengths up to L bars L loads and 3 L operations instead of N times as many, and a store for each
// length.

// |x_t - x_{t-1}|, 0 at the first bar: what KAMA's noise is the rolling sum of. Threads: (bar, column).
extern "C" __global__ void moves_of(
    const double* __restrict__ x,  // bars columns
    i64 bars,
    i64 columns,
    double* __restrict__ moves  // bars columns
) {
    const i64 i = thread_number();
    if (i >= bars * columns) return;
    moves[i] = i < columns ? 0.0 : fabs(x[i] - x[i - columns]);
}

// The return into the next bar, 0 at the last: one division here instead of one for each member and regime.
// Threads: (bar, column).
extern "C" __global__ void returns_of(
    const double* __restrict__ close,  // bars columns
    i64 bars,
    i64 columns,
    double* __restrict__ returns  // bars columns
) {
    const i64 i = thread_number();
    if (i >= bars * columns) return;
    returns[i] = i + columns < bars * columns ? (close[i + columns] - close[i]) / close[i] : 0.0;
}

// Sums of the last L values, or of as many as there are, newest first, for all `lengths` (ascending): what the rolling
// sum restarts from. Some thread of a warp restarts at nearly every bar, so summing there would make all of them walk
// back over L bars at each of theirs; here every sum is made once, with all the device at it. Threads: (bar, column).
extern "C" __global__ void newest_first_sums(
    const double* __restrict__ v,  // bars columns
    i64 bars,
    i64 columns,
    const i64* __restrict__ lengths,  // count
    i64 count,
    double* __restrict__ sums  // count bars columns
) {
    const i64 i = thread_number();
    const i64 size = bars * columns;
    if (i >= size) return;
    double total = 0.0;
    i64 from = i;
    for (i64 j = 0; j < count; ++j) {
        const i64 end = i - lengths[j] * columns;
        for (; from > end && from >= 0; from -= columns) total = v[from] + total;
        sums[j * size + i] = total;
    }
}

// WMA = sum x_k*k / norm and LSMA = the end of the least-squares line, of all `lengths` (ascending), over the windows
// that begin at one bar. A window that begins at bar t is stored under the bar where it ends; bar t itself, before the
// first window of a length ends, is this thread's to mark as undefined. Threads: (bar, column).
extern "C" __global__ void wma_and_lsma(
    const double* __restrict__ x,  // bars columns
    const double* __restrict__ close,  // bars columns
    i64 bars,
    i64 columns,
    const i64* __restrict__ lengths,  // count
    const i64* __restrict__ wma_rows,  // count
    const i64* __restrict__ wma_kept,  // count
    const i64* __restrict__ lsma_rows,  // count
    const i64* __restrict__ lsma_kept,  // count
    i64 count,
    i8* __restrict__ sides,  // ? bars columns
    double* __restrict__ averages  // ? bars columns or none
) {
    const i64 i = thread_number();
    const i64 size = bars * columns;
    if (i >= size) return;
    const i64 start = i / columns;
    double sy = 0.0;
    double sxy = 0.0;
    double sx2 = 0.0;
    i64 k = 0;
    for (i64 j = 0; j < count; ++j) {
        const i64 length = lengths[j];
        const i64 wma_row = wma_rows[j] * size;  // negative where this is not wanted
        const i64 wma_keep = wma_kept[j] * size;
        const i64 lsma_row = lsma_rows[j] * size;
        const i64 lsma_keep = lsma_kept[j] * size;
        if (start < length - 1) {
            if (wma_row >= 0) sides[wma_row + i] = UNDEFINED;
            if (wma_keep >= 0) averages[wma_keep + i] = not_a_number();
            if (lsma_row >= 0) sides[lsma_row + i] = UNDEFINED;
            if (lsma_keep >= 0) averages[lsma_keep + i] = not_a_number();
        }
        if (start + length > bars) continue;
        while (k < length) {
            const double value = x[i + k * columns];
            k += 1;
            sy = sy + value;
            sxy = sxy + value * (double)k;
            sx2 = sx2 + (double)k * (double)k;  // whole numbers below 2**53: exact
        }
        const i64 at = i + (length - 1) * columns;
        const double n = (double)length;
        const double sx = 0.5 * n * (n + 1.0);
        if (wma_row >= 0 || wma_keep >= 0) {
            const double m = sxy / sx;
            if (wma_row >= 0) sides[wma_row + at] = side_of(close[at], m);
            if (wma_keep >= 0) averages[wma_keep + at] = m;
        }
        if (lsma_row >= 0 || lsma_keep >= 0) {
            const double slope = (sxy * n - sy * sx) / (n * sx2 - sx * sx);
            const double intercept = sy / n - slope * sx / n + slope;
            const double m = intercept + slope * (n - 1.0);
            if (lsma_row >= 0) sides[lsma_row + at] = side_of(close[at], m);
            if (lsma_keep >= 0) averages[lsma_keep + at] = m;
        }
    }
}

// Length 1: EMA, SMA and LSMA are the bar itself (`doubled` 0), DEMA is 2x - x (1). Threads: (bar, column).
extern "C" __global__ void averages_of_one_bar(
    const double* __restrict__ x,  // bars columns
    const double* __restrict__ close,  // bars columns
    i64 bars,
    i64 columns,
    i64 doubled,
    i64 row,
    i64 kept,
    i8* __restrict__ sides,  // ? bars columns
    double* __restrict__ averages  // ? bars columns or none
) {
    const i64 i = thread_number();
    const i64 size = bars * columns;
    if (i >= size) return;
    const double m = doubled ? x[i] * 2.0 - x[i] : x[i];
    sides[row * size + i] = side_of(close[i], m);
    if (kept >= 0) averages[kept * size + i] = m;
}

// Hull = WMA(2*WMA(x, L//2) - WMA(x, L), floor(sqrt(L))) of WMAs that lie in `averages`. What the outer average is
// taken of is made again for each window instead of being stored: two loads that hit the cache, and a pass over memory
// less. Threads: (Hull average, bar, column).
extern "C" __global__ void hma(
    const double* __restrict__ close,  // bars columns
    i64 bars,
    i64 columns,
    const i64* __restrict__ lengths,  // count
    const i64* __restrict__ outer_lengths,  // count
    const i64* __restrict__ half_kept,  // count
    const i64* __restrict__ full_kept,  // count
    const i64* __restrict__ rows,  // count
    const i64* __restrict__ kept,  // count
    i64 count,
    i8* __restrict__ sides,  // ? bars columns
    double* averages  // ? bars columns
) {
    const i64 thread = thread_number();
    const i64 size = bars * columns;
    if (thread >= count * size) return;
    const i64 j = thread / size;
    const i64 i = thread - j * size;
    const i64 outer = outer_lengths[j];
    double m = not_a_number();
    if (i / columns >= lengths[j] + outer - 2) {
        const double* half = averages + half_kept[j] * size;
        const double* full = averages + full_kept[j] * size;
        double total = 0.0;
        for (i64 k = 1; k <= outer; ++k) {
            const i64 at = i - (outer - k) * columns;
            total = total + (half[at] * 2.0 - full[at]) * (double)k;
        }
        m = total / (0.5 * (double)outer * (double)(outer + 1));
    }
    sides[rows[j] * size + i] = side_of(close[i], m);
    if (kept[j] >= 0) averages[kept[j] * size + i] = m;
}
