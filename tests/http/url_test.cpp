#include <muster/http/error.hpp>
#include <muster/http/url.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace muster::http;

namespace {

std::string error_of(std::string_view text) {
    try {
        Url::parse(text);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::configuration);
        return error.what();
    }
    return "accepted";
}

bool holds(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a URL is taken apart") {
    const Url url = Url::parse("HTTPS://Ops:s%40cret@R1.Example:8443/api/version?a=1&b=2#top");
    CHECK(url.tls());
    CHECK(url.host() == "r1.example");
    CHECK(url.port() == 8443);
    CHECK(url.target() == "/api/version?a=1&b=2");
    CHECK(url.username() == "Ops");
    CHECK(url.password().reveal() == "s@cret");
    CHECK(url.authority() == "r1.example:8443");
    CHECK(url.str() == "https://r1.example:8443/api/version?a=1&b=2");
}

TEST_CASE("a URL without port and path has those of its scheme") {
    CHECK(Url::parse("http://r1").port() == 80);
    CHECK(Url::parse("https://r1").port() == 443);
    CHECK(Url::parse("http://r1").target() == "/");
    CHECK(Url::parse("http://r1?x=1").target() == "/?x=1");
    CHECK(Url::parse("http://r1:80/").authority() == "r1");
    CHECK(Url::parse("http://r1:443/").authority() == "r1:443");
    CHECK(Url::parse("http://r1:/").port() == 80);
}

TEST_CASE("IPv6 addresses have brackets, and perhaps a zone") {
    const Url url = Url::parse("http://[2001:DB8::1]:8080/x");
    CHECK(url.host() == "2001:db8::1");
    CHECK(url.authority() == "[2001:db8::1]:8080");
    const Url zone = Url::parse("http://[fe80::1%25eth0]/");
    CHECK(zone.host() == "fe80::1%eth0");
    CHECK(zone.authority() == "[fe80::1]");
    CHECK(Url::parse("http://[fe80::1%eth0]/").host() == "fe80::1%eth0");
    CHECK(holds(error_of("http://2001:db8::1/"), "needs brackets"));
    CHECK(holds(error_of("http://[2001:db8::zz]/"), "no IPv6 address"));
    CHECK(holds(error_of("http://[2001:db8::1/"), "no IPv6 address"));
}

TEST_CASE("what cannot stand in a request line is encoded, what is encoded stays") {
    CHECK(Url::parse("http://r/a b/\xc3\xa9?q=<x>|%20%zz").target() ==
          "/a%20b/%C3%A9?q=%3Cx%3E%7C%20%25zz");
    CHECK(Url::parse("http://r/restconf/data/ietf:if=Gi0%2F0").target() ==
          "/restconf/data/ietf:if=Gi0%2F0");
}

TEST_CASE("parameters are appended to the query, encoded") {
    const Params params{{"q", "a b&c"}, {"n", "1/2"}};
    CHECK(Url::parse("http://r/x", params).target() == "/x?q=a%20b%26c&n=1%2F2");
    CHECK(Url::parse("http://r/x?y=1", params).target() == "/x?y=1&q=a%20b%26c&n=1%2F2");
}

TEST_CASE("what is not a usable URL is refused with the reason") {
    CHECK(holds(error_of("r1/api"), "no scheme"));
    CHECK(holds(error_of("ftp://r1/"), "not http or https"));
    CHECK(holds(error_of("http:///x"), "names no host"));
    CHECK(holds(error_of("http://r1:0/"), "port"));
    CHECK(holds(error_of("http://r1:65536/"), "port"));
    CHECK(holds(error_of("http://r1:8o/"), "port"));
    CHECK(holds(error_of("http://r1:8:9/"), "brackets"));
    CHECK(holds(error_of("http://r 1/"), "host name"));
    CHECK(holds(error_of("http://r\xc3\xa9seau/"), "xn--"));
    CHECK(holds(error_of("http://good.example\\@evil.example/"), "backslash"));
    CHECK(holds(error_of("http://r1/\r\nX: y"), "control character"));
}

TEST_CASE("a URL's secrets are in no text that is made of it") {
    const Url url =
        Url::parse("https://ops:hunter2@r1/api?type=keygen&Password=hunter2&key=hunter2&x=1");
    CHECK(url.str() == "https://r1/api?type=keygen&Password=***&key=***&x=1");
    for (const char* text :
         {"https://ops:hunter2@r1:bad/", "ops:hunter2@r1", "https://ops:hunter2@",
          "x://a:hunter2@r", "http://[::1/?key=hunter2", "http://r1:x/?key=hunter2"}) {
        CHECK_FALSE(holds(error_of(text), "hunter2"));
        CHECK_FALSE(holds(error_of(text), "ops"));
    }
}

TEST_CASE("a user name may come without a password, and a password may hold everything") {
    CHECK(Url::parse("http://ops@r1/").username() == "ops");
    CHECK(Url::parse("http://ops@r1/").password().empty());
    const Url url = Url::parse("http://ops:a:b@c%2F@r1/");
    CHECK(url.host() == "r1");
    CHECK(url.password().reveal() == "a:b@c/");
}
