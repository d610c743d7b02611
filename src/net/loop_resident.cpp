#include "net/loop_resident.hpp"

#include <unordered_set>
#include <utility>

namespace muster::detail {

namespace asio = boost::asio;

/// All residents of an io_context: told when it goes.
class LoopResident::Registry : public asio::execution_context::service {
public:
    using key_type = Registry;
    static asio::execution_context::id id;

    explicit Registry(asio::execution_context& context)
        : asio::execution_context::service(context) {}

    std::unordered_set<LoopResident*> residents;

private:
    void shutdown() noexcept override {
        while (!residents.empty()) {
            LoopResident& resident = **residents.begin();
            resident.leave();
            resident.context_gone();
        }
    }
};

asio::execution_context::id LoopResident::Registry::id;

LoopResident::LoopResident(asio::execution_context& context)
    : registry_(&asio::use_service<Registry>(context)) {
    registry_->residents.insert(this);
}

LoopResident::~LoopResident() { leave(); }

void LoopResident::leave() noexcept {
    if (registry_ != nullptr) {
        std::exchange(registry_, nullptr)->residents.erase(this);
    }
}

} // namespace muster::detail
