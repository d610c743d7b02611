#include "ssh/one_line.hpp"

#include <algorithm>

namespace muster::ssh::detail {

std::string one_line(std::string_view text, std::size_t most) {
    std::string line(text.substr(0, most));
    const auto controls = [](char c) {
        return (static_cast<unsigned char>(c) & 0x80U) == 0 && (c < ' ' || c == '\x7f');
    };
    std::replace_if(line.begin(), line.end(), controls, ' ');
    return line;
}

} // namespace muster::ssh::detail
