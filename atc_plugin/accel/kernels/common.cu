// What all kernels share.
//
// The kernels are plain C with CUDA's words for threads, without an include, so that one source serves NVRTC on a
// device and g++ on the host. They are the law operation by operation and compiled without contraction: no multiply-add
// is fused, nothing is reassociated, and every constant that a library would have to compute comes from the host.
//
// Arrays are [row][bar][column], the column innermost; a *row* is a member, a signal, a component or a configuration.
// Two kinds of threads read them: one for each (bar, column) where the law leaves time free, consecutive threads on
// consecutive doubles whatever the number of columns; and one for each (row, column) where the law remembers, which
// walks along the bars. Those are coalesced from 32 columns on. With fewer, a thread reads its own row sector by
// sector, and little is lost: the rows then lie in the second-level cache, and a walk waits for its own arithmetic, not
// for memory.
//
// No thread reads what another thread of the same launch writes, so there is nothing to synchronise and no order of
// threads that matters. Columns shorter than `bars` are followed by numbers that mean nothing: the law looks only back,
// so what they give lies beyond the column's bars too.
//
// Behind each pointer its shape stands in a comment, in names of the kernel's integers; `?` is any number, `or none`
// allows an empty array, which arrives as a null pointer. `accel/signatures.py` reads them and checks what is passed.

typedef long long i64;  // indices: rows * bars * columns passes 2**31 on any large card
typedef int i32;
typedef unsigned int u32;
typedef signed char i8;

#define BELOW ((i8)(-1))
#define EQUAL ((i8)0)
#define ABOVE ((i8)1)
#define UNDEFINED ((i8)2)

#define FLOOR 0.25  // no equity falls below this

__device__ i64 thread_number() { return (i64)blockIdx.x * (i64)blockDim.x + (i64)threadIdx.x; }

__device__ double not_a_number() { return __longlong_as_double(0x7ff8000000000000LL); }

__device__ double infinity() { return __longlong_as_double(0x7ff0000000000000LL); }

// Python's min and max, not fmin and fmax: the first of the two where they are equal or one is NaN.
__device__ double smaller(double a, double b) { return b < a ? b : a; }

__device__ double larger(double a, double b) { return b > a ? b : a; }

// On which side of an average the close is: all that trend states, and so equities, need of it. A byte where the
// average would be eight, which is most of the traffic between an average and what follows it.
__device__ i8 side_of(double close, double m) {
    return close > m ? ABOVE : close < m ? BELOW : close == m ? EQUAL : UNDEFINED;
}

// Not fmax: a NaN stays a NaN.
__device__ double at_least_floor(double equity) { return equity < FLOOR ? FLOOR : equity; }
