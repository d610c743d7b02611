#pragma once
// The devices' REST API, apart from HTTP's transport.

#include "virtual_device.hpp"

#include <string>
#include <string_view>

namespace muster::sim {

/// A request as the API sees it.
struct ApiRequest {
    std::string_view method;
    std::string_view target;
    std::string_view authorization; ///< the header's value
    std::string_view body;
};

/// Always JSON.
struct ApiResponse {
    unsigned status = 200;
    std::string body;
    std::string allow; ///< for 405: the methods which would do
};

/// Answers; takes the device's lock itself.
ApiResponse answer(VirtualDevice& device, const ApiRequest& request);

} // namespace muster::sim
