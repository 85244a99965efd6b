// What g++ needs to read the kernels: CUDA's words for threads, and a loop that runs threads one after another in any
// order.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

struct ShimIndex {
    unsigned x, y, z;
};
static ShimIndex threadIdx, blockIdx, blockDim, gridDim;
#define __global__
#define __device__ static inline
#define __noinline__
using std::fabs;
using std::floor;
using std::rint;
using std::sqrt;

static inline double __longlong_as_double(long long bits) {
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

static inline int __ffs(int bits) { return __builtin_ffs(bits); }

enum Order { FORWARD, REVERSED, SHUFFLED };

template <class... A, std::size_t... I>
static void shim_call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_reference_t<A>*>(arguments[I])...);
}

// 0, or 1 where the number of arguments is wrong.
template <class... A>
static int shim_launch(void (*kernel)(A...), unsigned blocks, unsigned block, int order, std::uint64_t seed,
                       void** arguments, int count) {
    if (count != static_cast<int>(sizeof...(A))) return 1;
    gridDim = {blocks, 1, 1};
    blockDim = {block, 1, 1};
    std::vector<std::uint64_t> threads(std::uint64_t{blocks} * block);
    std::iota(threads.begin(), threads.end(), std::uint64_t{0});
    for (std::uint64_t i = threads.size(); order == SHUFFLED && i > 1; --i) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        std::swap(threads[i - 1], threads[(seed >> 33) % i]);
    }
    for (std::uint64_t i = 0; i < threads.size(); ++i) {
        const std::uint64_t thread = threads[order == REVERSED ? threads.size() - 1 - i : i];
        blockIdx = {static_cast<unsigned>(thread / block), 0, 0};
        threadIdx = {static_cast<unsigned>(thread % block), 0, 0};
        shim_call(kernel, arguments, std::index_sequence_for<A...>{});
    }
    return 0;
}

#define EXPORT(kernel)                                                                                  \
    extern "C" int host_##kernel(unsigned blocks, unsigned block, int order, std::uint64_t seed,        \
                                 void** arguments, int count) {                                         \
        return shim_launch(kernel, blocks, block, order, seed, arguments, count);                       \
    }
