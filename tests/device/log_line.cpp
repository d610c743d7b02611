#include <muster/device/log_line.hpp>

#include <doctest/doctest.h>

#include <string>

using muster::device::is_log_line;

TEST_CASE("what devices log on the terminal is told from what they answer") {
    for (const char* line : {
             "*Mar  1 00:01:02.345: %SYS-5-CONFIG_I: Configured from console by vty0 (10.0.0.9)",
             "Mar  1 00:01:02: %LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to up",
             "000123: *Nov 21 01:02:03.123 UTC: %LINEPROTO-5-UPDOWN: Line protocol on Interface",
             "%LINEPROTO-5-UPDOWN: Line protocol on Interface Ethernet0, changed state to up",
             "1w2d: %SYS-5-RESTART: System restarted --",
             "2026 Nov 21 01:02:03 sw1 %ETHPORT-5-IF_UP: Interface Ethernet1/1 is up",
             "RP/0/RP0/CPU0:Nov 21 01:02:03.123 : ifmgr[216]: %PKT_INFRA-LINK-3-UPDOWN : Interface",
             "2026/11/21 01:02:03 ZEBRA: [HSYZM-HV7HF] Extended Error: Carrier for nexthop down",
             "2026-11-21T01:02:03.123456+00:00 r1 kernel: link up",
             "Nov 21 01:02:03 r1 sshd[123]: Accepted password for ops",
             "Nov  1 01:02:03 r1 cron: started",
             "[ 1234.567890] eth0: link becomes ready",
             "Broadcast message from root@r1 (Sat Nov 21 01:02:03 2026):",
             "***",
             "*** --- SHUTDOWN in 0:05:00 ---",
         }) {
        CAPTURE(std::string(line));
        CHECK(is_log_line(line));
    }
    for (const char* line : {
             "",
             "r1#",
             "% Invalid input detected at '^' marker.",
             "% Unknown command: bogus",
             "%Error opening tftp://10.0.0.1/x (Timed out)",
             "%Portfast has been configured on GigabitEthernet0/1 but will only",
             "interface GigabitEthernet0/1",
             "CPU utilization for five seconds: 5%-1-2: 3",
             "[edit]",
             "[12] item",
             "Nov 21 is a holiday: rest",
             "1234/56/78",
             "50%-HALF: half of it",
         }) {
        CAPTURE(std::string(line));
        CHECK_FALSE(is_log_line(line));
    }
}
