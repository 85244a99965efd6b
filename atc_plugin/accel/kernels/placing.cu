// The ways in and out: columns out of a table of prices, whether the law has a meaning for them, and what it says put
// back on the bars that prices came with. Each is one pass over memory with next to no arithmetic.

// Some columns of a table, in whatever order it lies in memory. With steps that differ from the result's, each read
// fetches a sector for one number: four times the bytes of a copy, and nothing beside the pass that follows.
// Threads: (bar, column).
extern "C" __global__ void columns_of(
    const double* __restrict__ values,  // ?
    i64 start,
    i64 bar_step,
    i64 column_step,
    i64 bars,
    i64 columns,
    double* __restrict__ gathered  // bars columns
) {
    const i64 thread = thread_number();
    if (thread >= bars * columns) return;
    const i64 t = thread / columns;
    gathered[thread] = values[start + t * bar_step + (thread - t * columns) * column_step];
}

// Whether a number among these is none, infinite or, with `zeros`, zero. `found` is 0 before; all threads that write it
// write the same. Threads: (bar, column).
extern "C" __global__ void find_unsound(
    const double* __restrict__ values,  // size
    i64 size,
    i64 zeros,
    i8* __restrict__ found  // 1
) {
    const i64 thread = thread_number();
    if (thread >= size) return;
    const double value = values[thread];
    if (!(value - value == 0.0) || (zeros && value == 0.0)) found[0] = 1;
}

// A bar's number among its column's own bars; -1 where the column has no bar.
__device__ i64 place_of(const i32* places, i64 at, i64 t) { return places ? (i64)places[at] : t; }

// The average of `columns` neighbouring columns out of `width`, on the bars that prices came with, `late` bars later;
// NaN where there is none. Threads: (bar, column).
extern "C" __global__ void placed_averages(
    const double* __restrict__ average,  // bars columns
    i64 bars,
    i64 columns,
    const i32* __restrict__ places,  // bars width or none
    i64 first,
    i64 width,
    i64 late,
    double* __restrict__ placed  // bars width
) {
    const i64 thread = thread_number();
    if (thread >= bars * columns) return;
    const i64 t = thread / columns;
    const i64 column = thread - t * columns;
    const i64 at = t * width + first + column;
    const i64 place = place_of(places, at, t);
    placed[at] = place < late ? not_a_number() : average[(place - late) * columns + column];
}

// The same of directions, as numbers: 0 before the first, NaN where there is no bar. Threads: (bar, column).
extern "C" __global__ void placed_directions(
    const i8* __restrict__ direction,  // bars columns
    i64 bars,
    i64 columns,
    const i32* __restrict__ places,  // bars width or none
    i64 first,
    i64 width,
    i64 late,
    double* __restrict__ placed  // bars width
) {
    const i64 thread = thread_number();
    if (thread >= bars * columns) return;
    const i64 t = thread / columns;
    const i64 column = thread - t * columns;
    const i64 at = t * width + first + column;
    const i64 place = place_of(places, at, t);
    const double turned = place < late ? 0.0 : (double)direction[(place - late) * columns + column];
    placed[at] = place < 0 ? not_a_number() : turned;
}

// The same: 1 where the direction turned to `to`. Threads: (bar, column).
extern "C" __global__ void placed_turns(
    const i8* __restrict__ direction,  // bars columns
    i64 bars,
    i64 columns,
    i64 to,
    const i32* __restrict__ places,  // bars width or none
    i64 first,
    i64 width,
    i64 late,
    i8* __restrict__ placed  // bars width
) {
    const i64 thread = thread_number();
    if (thread >= bars * columns) return;
    const i64 t = thread / columns;
    const i64 column = thread - t * columns;
    const i64 at = t * width + first + column;
    const i64 from = place_of(places, at, t) - late;
    const i64 now = from < 0 ? 0 : direction[from * columns + column];
    const i64 before = from < 1 ? 0 : direction[(from - 1) * columns + column];
    placed[at] = now == to && before != to;
}
