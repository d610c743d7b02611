#include "fleet/suggest.hpp"

#include <algorithm>
#include <cctype>

namespace muster::fleet::detail {
namespace {

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return result;
}

// Edit distance with swaps of neighbours (optimal string alignment): `prot` is one step from
// `port`, as typing mistakes go.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) {
        d[i][0] = i;
    }
    for (std::size_t j = 0; j <= b.size(); ++j) {
        d[0][j] = j;
    }
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t changed = a[i - 1] == b[j - 1] ? 0 : 1;
            d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + changed});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
            }
        }
    }
    return d[a.size()][b.size()];
}

} // namespace

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
    const std::string wanted = lower(word);
    // A third of the letters may be wrong; beyond that a guess is noise.
    std::size_t best = std::max<std::size_t>(1, wanted.size() / 3) + 1;
    const std::string* nearest = nullptr;
    for (const std::string& candidate : candidates) {
        const std::size_t longer = std::max(candidate.size(), wanted.size());
        const std::size_t shorter = std::min(candidate.size(), wanted.size());
        if (longer - shorter >= best) {
            continue;
        }
        const std::size_t steps = distance(wanted, lower(candidate));
        if (steps < best) {
            best = steps;
            nearest = &candidate;
        }
    }
    return nearest == nullptr ? std::string{} : " (did you mean '" + *nearest + "'?)";
}

} // namespace muster::fleet::detail
