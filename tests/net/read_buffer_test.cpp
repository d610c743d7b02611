#include "net/read_buffer.hpp"

#include <muster/core/error.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using muster::ValueError;
using muster::detail::ReadBuffer;
using muster::detail::SeparatorSearch;

namespace {

std::vector<std::string> list(std::initializer_list<const char*> texts) {
    return {texts.begin(), texts.end()};
}

/// Feeds `chunks` one after the other until something is found: what comes before the end of it.
std::string found(std::vector<std::string> separators, const std::vector<std::string>& chunks) {
    SeparatorSearch search(std::move(separators));
    std::string buffer;
    for (const std::string& chunk : chunks) {
        buffer += chunk;
        if (const auto match = search.find(buffer)) {
            return buffer.substr(0, match->end);
        }
    }
    return "nothing, searched " + std::to_string(search.searched());
}

} // namespace

TEST_CASE("a read buffer gives what was appended, in any portions") {
    ReadBuffer buffer;
    CHECK(buffer.empty());
    buffer.append("hello ");
    buffer.append("world");
    CHECK(buffer.take(2) == "he");
    buffer.append("!");
    CHECK(buffer.view() == "llo world!");
    buffer.drop(4);
    CHECK(buffer.take(100) == "world!");
    CHECK(buffer.empty());
    std::string seen;
    std::string expected;
    for (int i = 0; i < 1000; ++i) {
        buffer.append(std::to_string(i));
        expected += std::to_string(i);
        seen += buffer.take(2);
    }
    CHECK(seen + buffer.take(buffer.size()) == expected);
    buffer.append("x");
    buffer.clear();
    CHECK(buffer.empty());
}

TEST_CASE("a separator is found wherever the chunks are cut") {
    CHECK(found(list({"AAA"}), list({"lineAAA"})) == "lineAAA");
    CHECK(found(list({"aaa"}), list({"QWEaa", "XYaa", "a"})) == "QWEaaXYaaa");
    CHECK(found(list({"aaa"}), list({"QWEaa", "XYa", "aa"})) == "QWEaaXYaaa");
    CHECK(found(list({"aaa"}), list({"XXX", "a", "a", "a"})) == "XXXaaa");
    CHECK(found(list({"aaa"}), list({"aaa"})) == "aaa");
    CHECK(found(list({"AAA"}), list({"some dataAA"})) == "nothing, searched 9");
}

TEST_CASE("of several separators the one that ends first counts, whatever its length") {
    CHECK(found(list({"\n", "\r\n"}), list({"a\r\nb\n"})) == "a\r\n");
    CHECK(found(list({"A", "ome dataA"}), list({"some dataA"})) == "some dataA");
    CHECK(found(list({"aaa", "aa"}), list({"xaaa"})) == "xaa");
    CHECK(found(list({"bbb", "a"}), list({"xbbba"})) == "xbbb");
    // Long enough for the shortest, too short for the longest.
    CHECK(found(list({"A", "long sep"}), list({"data", "Z", "Aaaa"})) == "dataZA");
}

TEST_CASE("without a separator, or with an empty one, there is nothing to look for") {
    CHECK_THROWS_AS(SeparatorSearch({}), ValueError);
    CHECK_THROWS_AS(SeparatorSearch(list({""})), ValueError);
    CHECK_THROWS_AS(SeparatorSearch(list({"AAA", ""})), ValueError);
}
