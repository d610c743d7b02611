#include <muster/core/coro.hpp>
#include <muster/core/detail/loop_core.hpp>
#include <muster/core/event_loop.hpp>

#include <string>

namespace muster::detail {

void never_awaited(const std::source_location& coroutine) noexcept {
    LoopCore* core = LoopCore::current();
    if (core != nullptr ? !core->debug : !debug_by_default()) {
        return;
    }
    ExceptionContext context;
    context.message = std::string("coroutine '") + coroutine.function_name() +
                      "' was never awaited (" + coroutine.file_name() + ":" +
                      std::to_string(coroutine.line()) + ")";
    if (core != nullptr) {
        core->report(context);
    } else {
        default_exception_handler(context);
    }
}

} // namespace muster::detail
