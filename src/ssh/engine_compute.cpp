// What an Engine leaves to another thread.

#include "ssh/engine.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace muster::ssh::detail {

// The other side's offer has come: it decides what the key exchange will cost.
void Engine::note_offer() {
    if (cost_ != nullptr) {
        return;
    }
    if (const auto chosen = received_.first_shared_kex(kex_); !chosen.empty()) {
        cost_ = &KexCost::of(chosen);
        slow_ = cost_->estimate() > budget_;
    }
}

// When keys are renewed, and thus slow steps come again, shows only inside of libssh2. So all input
// of a session that had a slow key exchange is looked at elsewhere, as soon as there is a channel
// to read from.
bool Engine::must_compute() {
    return slow_ && (handshaking_ ? !framing_.encrypted() && !nothing_to_read()
                                  : !channels_.empty() || !library_channels_.empty());
}

void Engine::begin_compute() {
    computing_ = true;
    again_ = false;
    wants_compute_ = false;
    compute_failure_ = 0;
    const auto room = [](const std::string& buffer) {
        return EngineChannel::buffer_limit - std::min(EngineChannel::buffer_limit, buffer.size());
    };
    for (EngineChannel& channel : channels_) {
        channel.room_out_ = room(channel.out);
        channel.room_err_ = room(channel.err);
        channel.found_eof_ = channel.eof_;
    }
}

void Engine::compute() noexcept {
    const std::size_t before = input().size();
    int progress = 0;
    in_vain_ = false;
    if (handshaking_) {
        granted_ = before;
        const CpuTimer timer;
        call_handshake();
        cost_->note(timer.elapsed());
    } else {
        // As in run(): the last byte after all others.
        granted_ = before - 1;
        progress = compute_round();
        granted_ += 1;
        if (progress >= 0) {
            const int more = compute_round();
            progress = more == 0 ? progress : more;
        }
        in_vain_ = progress == 0 && input().size() == before;
    }
    granted_ = 0;
    compute_failure_ = std::min(progress, 0);
}

void Engine::end_compute() {
    computing_ = false;
    in_vain_ = in_vain_ && !again_;
    for (EngineChannel& channel : channels_) {
        deliver_found(channel);
    }
    if (failure_ != 0) {
        wind_up(); // it was failed meanwhile
    } else if (compute_failure_ != 0) {
        fail(compute_failure_, last_error());
    }
    for (EngineChannel* channel : std::exchange(late_frees_, {})) {
        free_channel(*channel);
    }
    if (std::string late = std::exchange(late_input_, {}); !late.empty()) {
        in_vain_ = false;
        receive(late);
    } else {
        run();
    }
}

} // namespace muster::ssh::detail
