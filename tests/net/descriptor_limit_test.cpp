#include <muster/core/error.hpp>
#include <muster/net/descriptor_limit.hpp>

#include <doctest/doctest.h>

#include <sys/resource.h>

#include <string>

using namespace muster;

namespace {

rlimit limit_now() {
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    return limit;
}

/// Lowers the soft limit, and puts it back.
class LowerLimit {
public:
    explicit LowerLimit(rlim_t soft) : before_(limit_now()) {
        rlimit lower = before_;
        lower.rlim_cur = soft;
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &lower) == 0);
    }

    LowerLimit(const LowerLimit&) = delete;
    LowerLimit& operator=(const LowerLimit&) = delete;

    ~LowerLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
    rlimit before_;
};

} // namespace

TEST_CASE("raise_descriptor_limit() raises the soft limit to the hard one and tells it") {
    const LowerLimit lower(128);
    REQUIRE(limit_now().rlim_cur == 128);
    const std::size_t limit = raise_descriptor_limit();
    CHECK(limit_now().rlim_cur == limit_now().rlim_max);
    CHECK(limit == limit_now().rlim_max);
    CHECK(raise_descriptor_limit() == limit);
}

TEST_CASE(
    "require_descriptors() raises the limit as far as it is needed, before anything is opened") {
    const LowerLimit lower(128);
    CHECK_NOTHROW(require_descriptors(200, "200 sessions at once"));
    CHECK(limit_now().rlim_cur >= 200);
}

TEST_CASE("require_descriptors() says what does not fit, the limit, and what to do") {
    const auto limit = static_cast<std::size_t>(limit_now().rlim_max);
    std::string text;
    try {
        require_descriptors(limit, "many sessions at once");
    } catch (const Error& error) {
        text = error.what();
    }
    CHECK(text.starts_with("many sessions at once: that takes "));
    CHECK(text.find("this process may open " + std::to_string(limit)) != std::string::npos);
    CHECK(text.find("ulimit -Hn ") != std::string::npos);
}
