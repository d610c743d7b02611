#include <muster/core/amap.hpp>
#include <muster/core/error.hpp>

namespace muster::detail {

Clock::duration amap_spacing(const AmapOptions& options) {
    if (options.max_at_once && *options.max_at_once == 0) {
        throw ValueError("amap() needs max_at_once to be 1 or more, or none");
    }
    if (!options.max_per_second) {
        return Clock::duration::zero();
    }
    if (!(*options.max_per_second > 0)) {
        throw ValueError("amap() needs max_per_second to be positive, or none");
    }
    return to_duration(std::chrono::duration<double>(1 / *options.max_per_second));
}

} // namespace muster::detail
