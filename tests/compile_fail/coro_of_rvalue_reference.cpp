// expect: Coro<T&&> would return a reference to something that is gone: return T
#include <muster/core/coro.hpp>

#include <memory>
#include <utility>

using namespace muster;

#ifdef MUSTER_BAD
Coro<std::unique_ptr<int>&&> give(std::unique_ptr<int> value) { co_return std::move(value); }
#else
Coro<std::unique_ptr<int>> give(std::unique_ptr<int> value) { co_return std::move(value); }
#endif
