// SPDX-License-Identifier: Apache-2.0
// What the name server makes of questions, without sockets.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "init/dns_answer.h"

namespace minibox::init {
namespace {

std::string Wire(const std::string& name) {
  std::string wire;
  for (size_t at = 0; at < name.size();) {
    const size_t end = std::min(name.find('.', at), name.size());
    wire += static_cast<char>(end - at);
    wire += name.substr(at, end - at);
    at = end + 1;
  }
  return wire + '\0';
}

std::string Number16(uint16_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::string Question(const std::string& name, uint16_t type, bool edns = false,
                     uint16_t udp_size = 4096) {
  std::string message = "\x12\x34\x01";
  message += std::string(1, '\0') + Number16(1) + Number16(0) + Number16(0) + Number16(edns);
  message += Wire(name) + Number16(type) + Number16(kDnsClassIn);
  if (edns)
    message += std::string(1, '\0') + Number16(kDnsOpt) + Number16(udp_size) + std::string(6, '\0');
  return message;
}

struct Server {
  explicit Server(std::string text) : text_(std::move(text)) {
    ok = records.Parse(text_.data(), text_.size());
  }
  struct Reply {
    DnsDecision::Kind kind;
    int code = -1;
    bool truncated = false;
    std::vector<std::string> data{};  // addresses, names
  };
  Reply Ask(const std::string& asker, const std::string& message, bool udp = true,
            uint32_t turn = 0) {
    uint8_t ip[4];
    const DnsContainer* who =
        inet_pton(AF_INET, asker.c_str(), ip) == 1 ? records.FindByIp(ip) : nullptr;
    std::vector<uint8_t> out(udp ? kMaxDnsQuery + kLargestUdpAnswer : 65535);
    DnsQuery query;
    const auto* bytes = reinterpret_cast<const uint8_t*>(message.data());
    const DnsDecision decision =
        DecideDns(records, who, bytes, message.size(), udp, turn, &query, out.data(), out.size());
    Reply reply{decision.kind};
    if (decision.kind != DnsDecision::Kind::kAnswer) return reply;
    EXPECT_EQ(out[0], 0x12);
    EXPECT_EQ(out[1], 0x34);
    EXPECT_NE(out[2] & 0x80, 0);
    reply.code = DnsCodeOf(out.data());
    reply.truncated = DnsTruncated(out.data());
    size = decision.size;
    const int answers = out[6] << 8 | out[7];
    size_t at = query.question_end;
    for (int i = 0; i < answers; ++i) {
      EXPECT_EQ(out[at], 0xc0);
      const int type = out[at + 2] << 8 | out[at + 3];
      EXPECT_EQ(out[at + 9], kDnsTtl);
      const size_t length = static_cast<size_t>(out[at + 10] << 8 | out[at + 11]);
      char text[INET6_ADDRSTRLEN] = "";
      if (type == kDnsA) inet_ntop(AF_INET, &out[at + 12], text, sizeof text);
      if (type == kDnsAaaa) inet_ntop(AF_INET6, &out[at + 12], text, sizeof text);
      std::string value = text;
      if (type == kDnsPtr) value.assign(reinterpret_cast<char*>(&out[at + 13]), length - 2);
      reply.data.push_back(value);
      at += 12 + length;
    }
    return reply;
  }
  std::vector<std::string> A(const std::string& asker, const std::string& name) {
    return Ask(asker, Question(name, kDnsA)).data;
  }

  std::string text_;
  DnsRecords records;
  bool ok = false;
  size_t size = 0;
};

constexpr char kBack[] =
    "minibox-dns 1\n"
    "pid 42\n"
    "network Back\n"
    "container 10.9.0.2 - shop aaaaaaaa\n"
    "dns 192.0.2.53\n"
    "name Web\n"
    "name aaaaaaaa\n"
    "name api\n"
    "container 10.9.0.3 fd00::3 - bbbbbbbb\n"
    "name web2\n"
    "name bbbbbbbb\n"
    "name api\n"
    "container 10.9.0.4 - - cccccccc\n"
    "name cccccccc\n"
    "name api\n"
    "network front\n"
    "container 10.9.1.2 - shop aaaaaaaa\n"
    "name web\n"
    "container 10.9.1.9 - - dddddddd\n"
    "name far\n";

using Names = std::vector<std::string>;

TEST(DnsAnswers, NamesIdsAndAliasesInAnyCase) {
  Server server(kBack);
  ASSERT_TRUE(server.ok);
  EXPECT_EQ(server.records.pid(), 42);
  EXPECT_EQ(server.A("10.9.0.3", "web2"), Names{"10.9.0.3"});
  EXPECT_EQ(server.A("10.9.0.4", "WEB2"), Names{"10.9.0.3"});
  EXPECT_EQ(server.A("10.9.0.4", "bbbbbbbb"), Names{"10.9.0.3"});
  EXPECT_EQ(server.A("10.9.0.4", "web2.back"), Names{"10.9.0.3"});
  EXPECT_EQ(server.A("10.9.0.4", "web"), Names{"10.9.0.2"});
  EXPECT_EQ(server.Ask("10.9.0.4", Question("web2.front", kDnsA)).kind,
            DnsDecision::Kind::kForward);
  EXPECT_EQ(server.Ask("10.9.0.4", Question("example.com", kDnsA)).kind,
            DnsDecision::Kind::kForward);
  EXPECT_EQ(server.Ask("10.9.0.4", Question("", kDnsA)).kind, DnsDecision::Kind::kForward);
}

TEST(DnsAnswers, OnlyWhoSharesANetworkIsSeen) {
  Server server(kBack);
  // aaaaaaaa is on both.
  EXPECT_EQ(server.A("10.9.0.2", "far"), Names{"10.9.1.9"});
  EXPECT_EQ(server.A("10.9.0.2", "far.front"), Names{"10.9.1.9"});
  EXPECT_EQ(server.Ask("10.9.0.3", Question("far", kDnsA)).kind, DnsDecision::Kind::kForward);
  EXPECT_EQ(server.Ask("10.9.0.77", Question("web2", kDnsA)).kind, DnsDecision::Kind::kForward);
  EXPECT_EQ(server.A("10.9.0.2", "web.front"), Names{"10.9.1.2"});
}

TEST(DnsAnswers, DefaultNetworkSeparatesProjects) {
  Server server(
      "minibox-dns 1\npid 1\nnetwork bridge projects\n"
      "container 10.9.0.2 - a 00000001\nname db\n"
      "container 10.9.0.3 - b 00000002\nname db\n"
      "container 10.9.0.4 - a 00000003\nname web\n"
      "container 10.9.0.5 - - 00000004\nname one\n"
      "container 10.9.0.6 - - 00000005\nname two\n");
  ASSERT_TRUE(server.ok);
  EXPECT_EQ(server.A("10.9.0.4", "db"), Names{"10.9.0.2"});
  EXPECT_EQ(server.A("10.9.0.3", "db.bridge"), Names{"10.9.0.3"});
  EXPECT_EQ(server.Ask("10.9.0.3", Question("web", kDnsA)).kind, DnsDecision::Kind::kForward);
  EXPECT_EQ(server.A("10.9.0.5", "two"), Names{"10.9.0.6"});
  EXPECT_EQ(server.Ask("10.9.0.5", Question("db", kDnsA)).kind, DnsDecision::Kind::kForward);
}

TEST(DnsAnswers, AddressesTakeTurns) {
  Server server(kBack);
  Names first;
  for (uint32_t turn = 0; turn < 3; ++turn) {
    const auto reply = server.Ask("10.9.0.4", Question("api", kDnsA), true, turn);
    ASSERT_EQ(reply.data.size(), 3u);
    first.push_back(reply.data[0]);
  }
  std::sort(first.begin(), first.end());
  EXPECT_EQ(first, (Names{"10.9.0.2", "10.9.0.3", "10.9.0.4"}));
}

TEST(DnsAnswers, OtherTypesOfAKnownNameAreEmpty) {
  Server server(kBack);
  EXPECT_EQ(server.Ask("10.9.0.4", Question("web2", kDnsAaaa)).data, Names{"fd00::3"});
  for (const uint16_t type : {uint16_t{kDnsAaaa}, uint16_t{15}, uint16_t{16}, uint16_t{255}}) {
    const auto reply = server.Ask("10.9.0.4", Question("web", type));
    EXPECT_EQ(reply.code, kDnsNoError) << type;
    EXPECT_TRUE(reply.data.empty()) << type;
  }
}

TEST(DnsAnswers, PointersOfAddressesThatAreSeen) {
  Server server(kBack);
  EXPECT_EQ(server.Ask("10.9.0.4", Question("3.0.9.10.in-addr.arpa", kDnsPtr)).data, Names{"web2"});
  EXPECT_EQ(server.Ask("10.9.0.4", Question("9.1.9.10.in-addr.arpa", kDnsPtr)).kind,
            DnsDecision::Kind::kForward);
  EXPECT_EQ(server.Ask("10.9.0.2", Question("9.1.9.10.IN-ADDR.ARPA", kDnsPtr)).data, Names{"far"});
  std::string reverse = "3.";
  for (int i = 0; i < 27; ++i) reverse += "0.";
  EXPECT_EQ(server.Ask("10.9.0.4", Question(reverse + "0.0.d.f.ip6.arpa", kDnsPtr)).data,
            Names{"web2"});
  for (const char* odd : {"300.0.9.10.in-addr.arpa", "0.9.10.in-addr.arpa", "x.in-addr.arpa"}) {
    EXPECT_EQ(server.Ask("10.9.0.4", Question(odd, kDnsPtr)).kind, DnsDecision::Kind::kForward);
  }
}

TEST(DnsAnswers, InternalNetworkRefusesTheRest) {
  Server server(
      "minibox-dns 1\npid 1\ninternal\nnetwork vault\n"
      "container 10.9.0.2 - - 00000001\nname db\n");
  EXPECT_EQ(server.A("10.9.0.2", "db"), Names{"10.9.0.2"});
  EXPECT_EQ(server.Ask("10.9.0.2", Question("example.com", kDnsA)).code, kDnsRefused);
}

TEST(DnsAnswers, SizeFollowsWhatTheAskerTakes) {
  std::string text = "minibox-dns 1\npid 1\nnetwork n\n";
  for (int i = 2; i < 202; ++i) {
    text += "container 10.9.0." + std::to_string(i) + " - - " + std::to_string(10000000 + i) +
            "\nname many\n";
  }
  Server server(text);
  ASSERT_TRUE(server.ok);
  auto reply = server.Ask("10.9.0.2", Question("many", kDnsA));
  EXPECT_TRUE(reply.truncated);
  EXPECT_LE(server.size, 512u);
  EXPECT_GT(reply.data.size(), 25u);
  reply = server.Ask("10.9.0.2", Question("many", kDnsA, true));
  EXPECT_TRUE(reply.truncated);
  EXPECT_LE(server.size, 1232u);
  EXPECT_GT(server.size, 1200u);
  // An asker that names less than the least gets the least.
  reply = server.Ask("10.9.0.2", Question("many", kDnsA, true, 1));
  EXPECT_LE(server.size, 512u);
  reply = server.Ask("10.9.0.2", Question("many", kDnsA), false);
  EXPECT_FALSE(reply.truncated);
  EXPECT_EQ(reply.data.size(), 200u);
}

TEST(DnsAnswers, MalformedQuestionsGetAnErrorOrNothing) {
  Server server(kBack);
  const std::string good = Question("web", kDnsA, true);
  using Kind = DnsDecision::Kind;
  for (size_t size = 0; size < good.size(); ++size) {
    const auto reply = server.Ask("10.9.0.2", good.substr(0, size));
    EXPECT_EQ(reply.kind, size < kDnsHeaderBytes ? Kind::kIgnore : Kind::kAnswer) << size;
    if (size >= kDnsHeaderBytes) {
      EXPECT_EQ(reply.code, kDnsFormatError) << size;
    }
  }
  const auto changed = [&](size_t at, char value) {
    std::string message = good;
    message[at] = value;
    return server.Ask("10.9.0.2", message);
  };
  EXPECT_EQ(changed(2, '\x81').kind, Kind::kIgnore);       // an answer
  EXPECT_EQ(changed(2, '\x29').code, kDnsNotImplemented);  // an update
  EXPECT_EQ(changed(5, 2).code, kDnsFormatError);          // two questions
  EXPECT_EQ(changed(5, 0).code, kDnsFormatError);          // none
  EXPECT_EQ(changed(12, '\xc0').code, kDnsFormatError);    // a pointer
  EXPECT_EQ(changed(12, 0x40).code, kDnsFormatError);      // a label too long
  EXPECT_EQ(server
                .Ask("10.9.0.2", Question(std::string(63, 'a') + "." + std::string(63, 'a') + "." +
                                              std::string(63, 'a') + "." + std::string(63, 'a'),
                                          kDnsA))
                .code,
            kDnsFormatError);
  // A dot inside of a label is no dot between labels.
  std::string dotted = Question("web2xback", kDnsA);
  dotted[17] = '.';
  EXPECT_EQ(server.Ask("10.9.0.4", dotted).kind, Kind::kForward);
}

TEST(DnsRecords, OtherFilesAreNoRecords) {
  for (const char* text : {"", "minibox-dns 2\n", "minibox-dns 1", "minibox-dns 1\ncontainer x\n",
                           "minibox-dns 1\nnetwork n\ncontainer 1.2.3 - - id\n", "\n", "c\nn\n"}) {
    Server server(text);
    EXPECT_FALSE(server.ok) << text;
    EXPECT_EQ(server.Ask("10.9.0.2", Question("web", kDnsA)).kind, DnsDecision::Kind::kForward);
  }
}

TEST(DnsReplies, AreThoseToTheQuestion) {
  const std::string question = Question("Web", kDnsA);
  const auto* sent = reinterpret_cast<const uint8_t*>(question.data());
  std::string reply = Question("wEB", kDnsA);
  reply[2] = '\x81';
  const auto is_reply = [&](const std::string& text, uint16_t id) {
    return IsReplyTo(reinterpret_cast<const uint8_t*>(text.data()), text.size(), sent,
                     question.size(), id);
  };
  EXPECT_TRUE(is_reply(reply, 0x1234));
  EXPECT_FALSE(is_reply(reply, 0x1235));
  EXPECT_FALSE(is_reply(reply.substr(0, 20), 0x1234));
  EXPECT_FALSE(is_reply(question, 0x1234));
  std::string other = Question("wex", kDnsA);
  other[2] = '\x81';
  EXPECT_FALSE(is_reply(other, 0x1234));
}

}  // namespace
}  // namespace minibox::init
