#include "contains.hpp"
#include "ssh/crypto.hpp"
#include "ssh/kexinit.hpp"
#include "ssh/methods.hpp"
#include "ssh/plaintext.hpp"
#include "ssh/wire.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace muster::ssh::detail;

namespace {

/// An unencrypted packet (RFC 4253 section 6).
std::string packet(const std::string& payload) {
    constexpr std::size_t padding = 7;
    std::string out;
    append_uint32(out, static_cast<std::uint32_t>(1 + payload.size() + padding));
    out += static_cast<char>(padding);
    return out + payload + std::string(padding, '\0');
}

std::string kexinit(const std::vector<std::string>& lists) {
    std::string payload = "\x14" + std::string(16, 'c');
    for (const auto& list : lists) {
        append_string(payload, list);
    }
    payload += std::string(5, '\0');
    return packet(payload);
}

const std::vector<std::string> offer{"kex1,kex2", "key1", "a,b",  "c", "m,n",
                                     "o",         "none", "none", "",  ""};

} // namespace

TEST_CASE("an offer is read however the bytes are cut, after lines of chat") {
    const std::string stream = "Welcome!\r\nNo trespassing\r\nSSH-2.0-Router_1.0 x\r\n" +
                               kexinit(offer) + "encrypted from here";
    for (const std::size_t chunk : {std::size_t{1}, std::size_t{7}, stream.size()}) {
        CAPTURE(chunk);
        KexInitReader reader;
        for (std::size_t at = 0; at < stream.size(); at += chunk) {
            reader.feed(std::string_view(stream).substr(at, chunk));
        }
        CHECK(reader.identification() == "SSH-2.0-Router_1.0 x");
        REQUIRE(reader.message().has_value());
        const KexInit message = reader.message().value();
        CHECK(message.kex == std::vector<std::string>{"kex1", "kex2"});
        CHECK(message.host_key == std::vector<std::string>{"key1"});
        CHECK(message.cipher_to_server == std::vector<std::string>{"a", "b"});
        CHECK(message.cipher_to_client == std::vector<std::string>{"c"});
        CHECK(message.mac_to_server == std::vector<std::string>{"m", "n"});
        CHECK(message.mac_to_client == std::vector<std::string>{"o"});
    }
}

TEST_CASE(
    "the key exchange method that both sides will choose is the first of ours that is offered") {
    KexInitReader reader;
    using Names = std::vector<std::string_view>;
    CHECK(reader.first_shared_kex(Names{"kex1"}).empty());
    reader.feed("SSH-2.0-x\r\n" + kexinit(offer));
    CHECK(reader.first_shared_kex(Names{"other", "kex2", "kex1"}) == "kex2");
    CHECK(reader.first_shared_kex(Names{"ex1", "kex", "kex11"}).empty());
    CHECK(reader.first_shared_kex(Names{}).empty());
}

TEST_CASE("what is no offer gives none") {
    const std::string hello = "SSH-2.0-x\r\n";
    for (const std::string& bad :
         {packet("\x01 not a kexinit"), std::string("\xff\xff\xff\xff\x01\x14", 6),
          std::string("\x00\x00\x00\x02\x09\x14", 6), packet("\x14 too short")}) {
        KexInitReader reader;
        reader.feed(hello + bad);
        CHECK(reader.identification() == "SSH-2.0-x");
        CHECK_FALSE(reader.message().has_value());
    }
    KexInitReader web;
    web.feed("HTTP/1.1 400 Bad\x1b[31m Request\r\n");
    CHECK(web.identification().empty());
    CHECK(web.garbage() == "HTTP/1.1 400 Bad.[31m Request");
    KexInitReader endless;
    for (int i = 0; i < 100; ++i) {
        endless.feed(std::string(10'000, 'x'));
    }
    CHECK(endless.identification().empty());
}

TEST_CASE("a mismatch names the first category that does not meet, with both sides") {
    KexInit ours{{"k1", "k2"}, {"h1"}, {"c1"}, {"c1"}, {"m1"}, {"m1"}};
    KexInit theirs = ours;
    CHECK(explain_mismatch(ours, theirs).empty());
    theirs.cipher_to_client = {"old", "older"};
    CHECK(explain_mismatch(ours, theirs) ==
          "no common ciphers: the device offers old, older; offered to it: c1");
    theirs.host_key = {"dss"};
    CHECK(contains(explain_mismatch(ours, theirs), "no common host key types"));
    theirs.kex = {"ext-info-s", "kex9"};
    ours.kex.insert(ours.kex.begin(), "kex-strict-c-v00@openssh.com");
    CHECK_FALSE(contains(explain_mismatch(ours, theirs), "ext-info"));
    CHECK_FALSE(contains(explain_mismatch(ours, theirs), "kex-strict"));
}

TEST_CASE("before encryption, lines and packets are handed over whole") {
    const std::string newkeys = packet("\x15");
    const std::string reply = packet("\x1f reply");
    const std::string start = "hello\r\nSSH-2.0-x\r\n";
    const std::string stream = start + reply + newkeys + "anything";

    // However little has arrived, nothing is cut.
    for (std::size_t arrived = 0; arrived <= stream.size(); ++arrived) {
        CAPTURE(arrived);
        PlaintextFraming framing;
        std::string_view unread = std::string_view(stream).substr(0, arrived);
        std::size_t taken = 0;
        while (const std::size_t count = framing.available(unread)) {
            framing.consumed(count);
            unread.remove_prefix(count);
            taken += count;
        }
        const std::size_t after_reply = start.size() + reply.size();
        const std::vector<std::size_t> borders{0, 7, start.size(), after_reply,
                                               after_reply + newkeys.size()};
        const bool at_border = std::find(borders.begin(), borders.end(), taken) != borders.end();
        CHECK((at_border || taken > borders.back()));
        CHECK(framing.awaits_newkeys() == (taken == after_reply));
        CHECK(framing.encrypted() == (taken >= borders.back()));
    }
    PlaintextFraming framing;
    CHECK(framing.available(std::string(5000, 'x')) == 5000); // no line ever ends like that
}

TEST_CASE("the forged NEWKEYS is a valid packet") {
    const auto bytes = PlaintextFraming::newkeys_packet();
    CHECK(bytes.size() % 8 == 0);
    WireReader reader(bytes);
    CHECK(reader.uint32() == bytes.size() - 4);
    CHECK(reader.byte() == bytes.size() - 6);
    CHECK(reader.byte() == 21);
}

TEST_CASE("legacy offers everything that the standard does, first") {
    const Methods standard = default_methods();
    const Methods legacy = legacy_methods();
    CHECK(std::equal(standard.kex.begin(), standard.kex.end(), legacy.kex.begin()));
    CHECK(std::equal(standard.host_key.begin(), standard.host_key.end(), legacy.host_key.begin()));
    CHECK(legacy.kex.size() > standard.kex.size());
    CHECK(legacy.host_key.back() == "ssh-dss");
    CHECK(std::find(standard.host_key.begin(), standard.host_key.end(), "ssh-rsa") ==
          standard.host_key.end());
}

TEST_CASE("the known key types come first, and RSA stands for all its signatures") {
    using Names = std::vector<std::string_view>;
    Names names{"ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256"};
    prefer_key_types(names, {"ssh-rsa"});
    CHECK(names == Names{"rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519", "ecdsa-sha2-nistp256"});
    prefer_key_types(names, {"ssh-ed25519"});
    CHECK(names.front() == "ssh-ed25519");
}

TEST_CASE("base64 both ways, padded or not, and nothing else") {
    for (const std::string bytes : {"f", "fo", "foo", "foob", "fooba", "foobar"}) {
        const std::string text = base64_encode(bytes);
        CHECK(text.size() % 4 == 0);
        CHECK(base64_decode(text) == bytes);
        CHECK(base64_decode(text.substr(0, text.find('='))) == bytes);
    }
    CHECK(base64_encode("foobar") == "Zm9vYmFy");
    CHECK(base64_encode("fo") == "Zm8=");
    for (const std::string bad : {"", "Z", "Zm9*", "Zm 9"}) {
        CHECK_FALSE(base64_decode(bad).has_value());
    }
}

TEST_CASE("numbers on the wire have no leading zeros and no sign") {
    const auto mpint = [](std::string_view bytes) {
        std::string out;
        append_mpint(out, bytes);
        return out;
    };
    using namespace std::string_literals;
    CHECK(mpint(""s) == "\0\0\0\0"s);
    CHECK(mpint("\0\0"s) == "\0\0\0\0"s);
    CHECK(mpint("\0\x7f"s) == "\0\0\0\1\x7f"s);
    CHECK(mpint("\x80"s) == "\0\0\0\2\0\x80"s);
}
