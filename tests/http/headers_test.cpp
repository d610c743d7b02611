#include <muster/core/error.hpp>
#include <muster/http/headers.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using muster::ValueError;
using muster::http::Headers;

TEST_CASE("header fields are found without regard to case, and keep their order") {
    Headers headers{{"Content-Type", "text/html"}, {"Set-Cookie", "a=1"}, {"set-cookie", "b=2"}};
    CHECK(headers.get("content-type") == "text/html");
    CHECK(headers.get("SET-COOKIE") == "a=1");
    CHECK(headers.get_all("Set-Cookie") == std::vector<std::string>{"a=1", "b=2"});
    CHECK(headers.find("Accept") == nullptr);
    CHECK(headers.get("Accept", "*/*") == "*/*");
    CHECK(headers.size() == 3);
}

TEST_CASE("set replaces all fields of a name, erase counts them") {
    Headers headers{{"X", "1"}, {"Y", "2"}, {"x", "3"}};
    headers.set("x", "4");
    CHECK(headers.get_all("X") == std::vector<std::string>{"4"});
    headers.set("Y", *headers.find("y"));
    CHECK(headers.get("Y") == "2");
    CHECK(headers.erase("y") == 1);
    CHECK(headers.erase("y") == 0);
    CHECK(headers.size() == 1);
}

TEST_CASE("a field that would write lines of its own is refused, and its value not shown") {
    Headers headers;
    CHECK_THROWS_AS(headers.add("X", "a\r\nY: hunter2"), ValueError);
    CHECK_THROWS_AS(headers.add("X", std::string("a\0b", 3)), ValueError);
    CHECK_THROWS_AS(headers.add("X: y\r\nZ", "1"), ValueError);
    CHECK_THROWS_AS(headers.add("", "1"), ValueError);
    CHECK_THROWS_AS(headers.set("X Y", "1"), ValueError);
    CHECK(headers.empty());
    try {
        headers.add("Authorization", "hunter2\n");
        FAIL("accepted");
    } catch (const ValueError& error) {
        CHECK(std::string(error.what()).find("hunter2") == std::string::npos);
        CHECK(std::string(error.what()).find("Authorization") != std::string::npos);
    }
}
