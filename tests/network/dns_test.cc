// SPDX-License-Identifier: Apache-2.0
// The name server of a network, asked over the wire.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "core/syscalls.h"
#include "network/testbed.h"

namespace minibox::testing {
namespace {

constexpr char kGateway[] = "172.19.0.1";
constexpr uint16_t kA = 1, kPtr = 12, kAaaa = 28;

std::string Question(const std::string& name, uint16_t type) {
  std::string message("\x51\x52\x01\0\0\1\0\0\0\0\0\0", 12);
  for (size_t at = 0; at < name.size();) {
    const size_t end = std::min(name.find('.', at), name.size());
    message += static_cast<char>(end - at);
    message += name.substr(at, end - at);
    at = end + 1;
  }
  message += '\0';
  for (const uint16_t value : {type, uint16_t{1}}) {
    message += static_cast<char>(value >> 8);
    message += static_cast<char>(value);
  }
  return message;
}

// An answer in words: its addresses in order, else "empty", "code <n>", "silent".
std::string Words(const std::string& reply, size_t question) {
  if (reply.size() < 12) return "silent";
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(reply[at]); };
  if ((byte(3) & 15) != 0) return "code " + std::to_string(byte(3) & 15);
  std::string words = (byte(2) & 2) != 0 ? "cut" : "";
  size_t at = question;
  for (int i = 0; i < byte(7); ++i) {
    const size_t length = byte(at + 11);
    char text[INET6_ADDRSTRLEN] = "name";
    if (byte(at + 3) == kA) inet_ntop(AF_INET, reply.data() + at + 12, text, sizeof text);
    if (byte(at + 3) == kAaaa) inet_ntop(AF_INET6, reply.data() + at + 12, text, sizeof text);
    words += (words.empty() ? "" : " ") + std::string(text);
    at += 12 + length;
  }
  return words.empty() ? "empty" : words;
}

std::string Receive(int fd, size_t at_least) {
  std::string text;
  char buffer[4096];
  pollfd waited = {fd, POLLIN, 0};
  // Longer than the server itself waits for others.
  while (text.size() < at_least && poll(&waited, 1, 15'000) == 1) {
    const ssize_t size = recv(fd, buffer, sizeof buffer, 0);
    if (size <= 0) break;
    text.append(buffer, static_cast<size_t>(size));
  }
  return text;
}

std::string Ask(Place place, const std::string& name, uint16_t type = kA,
                const std::string& server = kGateway) {
  const SocketAddress address(server, 53);
  const core::Fd fd = BindUdp(place, 0, address.family() == AF_INET6 ? "::" : "0.0.0.0");
  // Connected: an answer from anywhere else does not count.
  if (connect(fd.get(), address.get(), address.size()) != 0) {
    return "unreachable";
  }
  const std::string question = Question(name, type);
  (void)!send(fd.get(), question.data(), question.size(), 0);
  return Words(Receive(fd.get(), 1), question.size());
}

std::string AskTcp(Place place, const std::string& name, uint16_t type = kA) {
  const Connection connection = Connect(place, kGateway, 53);
  if (connection.outcome != Outcome::kConnected) return "unreachable";
  const std::string question = Question(name, type);
  const std::string framed = std::string(1, '\0') + static_cast<char>(question.size()) + question;
  // One byte at a time: the server waits for the whole.
  for (const char c : framed) (void)!send(connection.fd.get(), &c, 1, MSG_NOSIGNAL);
  const std::string reply = Receive(connection.fd.get(), 14);
  return reply.size() < 2 ? "silent" : Words(reply.substr(2), question.size());
}

// Answers one question with `ip`, in the place of the host's own resolver.
std::string AnswerOnce(int server, const std::string& ip, bool truncated = false) {
  pollfd waited = {server, POLLIN, 0};
  if (poll(&waited, 1, 10'000) != 1) return "nobody asked";
  char buffer[512];
  sockaddr_in from = {};
  socklen_t size = sizeof from;
  const ssize_t got =
      recvfrom(server, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
  if (got < 12) return "no question";
  const std::string question(buffer, static_cast<size_t>(got));
  std::string reply = question;
  reply[2] = truncated ? '\x83' : '\x81';
  reply[3] = '\x80';
  if (!truncated) {
    reply[7] = 1;
    in_addr address;
    inet_pton(AF_INET, ip.c_str(), &address);
    reply += std::string("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4", 12);
    reply.append(reinterpret_cast<const char*>(&address), 4);
  }
  (void)!sendto(server, reply.data(), reply.size(), 0, reinterpret_cast<const sockaddr*>(&from),
                size);
  return question.substr(2);
}

struct DnsBed {
  Testbed bed;
  explicit DnsBed(const std::string& resolv_conf = "nameserver 127.0.0.77\n") {
    // The name server has no privileges.
    EXPECT_EQ(chmod(bed.scratch.path().c_str(), 0755), 0);
    bed.scratch.Write("resolv.conf", resolv_conf);
    bed.options.resolv_conf = bed.scratch / "resolv.conf";
    bed.Reopen();
  }
  ~DnsBed() {
    EXPECT_TRUE(bed.impl()->Reconcile({}).ok());
    const auto all = bed.impl()->List();
    for (const NetworkInfo& info : all.ok() ? *all : std::vector<NetworkInfo>()) {
      if (info.name == "bridge") continue;
      EXPECT_TRUE(bed.impl()->Remove(info.name).ok());
    }
  }
  std::unique_ptr<Container> Start(const std::string& id, std::vector<std::string> names,
                                   const std::string& network = "bridge",
                                   const std::string& project = "",
                                   std::vector<std::string> dns = {}) {
    network::EndpointRequest request{id, network};
    request.names = std::move(names);
    request.names.push_back(id);
    request.project = project;
    request.dns = std::move(dns);
    auto container = bed.TryStart(request);
    EXPECT_TRUE(container.ok()) << container.status().ToString();
    return container.ok() ? std::move(*container) : nullptr;
  }
};

TEST(Dns, NamesHaveIpv6AddressesToo) {
  DnsBed dns;
  NetworkSpec spec;
  spec.name = "six";
  spec.subnet6 = "fd00:1::/64";
  ASSERT_TRUE(dns.bed.impl()->Create(spec).ok());
  const auto web = dns.Start("aaaaaaaa", {"web"}, "six");
  const auto old = dns.Start("bbbbbbbb", {"old"});
  EXPECT_EQ(Ask(&web->inside, "web", kAaaa, "172.19.1.1"), "fd00:1::2");
  EXPECT_EQ(Ask(&web->inside, "web", kAaaa, "fd00:1::1"), "fd00:1::2");
  EXPECT_EQ(Ask(&web->inside, "web.six", kA, "fd00:1::1"), web->ip());
  EXPECT_EQ(Ask(&old->inside, "old", kAaaa), "empty");
  std::string reverse = "2.0.0.0";
  for (int i = 0; i < 20; ++i) reverse += ".0";
  EXPECT_EQ(Ask(&web->inside, reverse + ".1.0.0.0.0.0.d.f.ip6.arpa", kPtr, "fd00:1::1"), "name");
  // The server of another network answers nobody else, whatever the address.
  EXPECT_EQ(Ask(nullptr, "web", kA, "fd00:1::1"), "silent");
}

TEST(Dns, NamesComeAndGoWithTheirContainers) {
  DnsBed dns;
  const auto web = dns.Start("aaaaaaaa", {"web", "api"});
  const auto one = dns.Start("bbbbbbbb", {"db", "api"});
  EXPECT_EQ(Ask(&web->inside, "db"), one->ip());
  EXPECT_EQ(Ask(&web->inside, "DB.Bridge"), one->ip());
  EXPECT_EQ(Ask(&web->inside, "bbbbbbbb"), one->ip());
  EXPECT_EQ(Ask(&web->inside, "db", kAaaa), "empty");
  EXPECT_EQ(Ask(&web->inside, "3.0.19.172.in-addr.arpa", kPtr), "name");
  EXPECT_EQ(AskTcp(&web->inside, "db"), one->ip());
  // All of one name, taking turns.
  const std::string both = Ask(&one->inside, "api"), turned = Ask(&one->inside, "api");
  EXPECT_NE(both, turned);
  EXPECT_EQ(both.size(), turned.size());
  // Known from the moment on that Reserve returns, and not a moment longer than until Release.
  for (int i = 0; i < 20; ++i) {
    const auto next = dns.bed.impl()->Reserve({"cccccccc", "bridge", "", {}, "", {"next"}});
    ASSERT_TRUE(next.ok());
    ASSERT_EQ(Ask(&web->inside, "next"), next->endpoint.ip);
    ASSERT_TRUE(dns.bed.impl()->Rename("cccccccc", {"later"}, {}).ok());
    ASSERT_EQ(Ask(&web->inside, "later"), next->endpoint.ip);
    ASSERT_TRUE(dns.bed.impl()->Release("cccccccc").ok());
    // Somebody else's now; nobody listens there.
    ASSERT_EQ(Ask(&web->inside, "later"), "code 2");
  }
}

TEST(Dns, IsForItsOwnNetworkOnly) {
  DnsBed dns("");
  NetworkSpec back, mute;
  back.name = "back";
  mute.name = "mute";
  mute.dns = false;
  ASSERT_TRUE(dns.bed.impl()->Create(back).ok());
  ASSERT_TRUE(dns.bed.impl()->Create(mute).ok());
  // A name server of the host is not in the way, and keeps its own questions.
  const core::Fd hosts = BindUdp(nullptr, 53);
  const core::Fd hosts_tcp = ListenTcp(nullptr, 53);
  const auto a = dns.Start("aaaaaaaa", {"a"}, "bridge", "shop");
  const auto b = dns.Start("bbbbbbbb", {"b"}, "bridge", "shop");
  const auto c = dns.Start("cccccccc", {"c"}, "bridge", "other");
  const auto d = dns.Start("dddddddd", {"d"}, "back");
  const auto e = dns.Start("eeeeeeee", {"e"}, "back,bridge", "shop");
  const auto f = dns.Start("ffffffff", {"f"}, "mute");
  EXPECT_EQ(Ask(&a->inside, "b"), b->ip());
  EXPECT_EQ(Ask(&a->inside, "c"), "code 2");
  EXPECT_EQ(Ask(&a->inside, "d"), "code 2");
  EXPECT_EQ(Ask(&d->inside, "e", kA, "172.19.1.1"), e->ip());
  EXPECT_EQ(Ask(&e->inside, "a", kA, "172.19.1.1"), a->ip());
  EXPECT_EQ(Ask(&e->inside, "d", kA, "172.19.1.1"), d->ip());
  // Neither by its address from another network, nor past the firewall by its own port.
  const auto silent = [&](Place place, const std::string& server) {
    const core::Fd fd = BindUdp(place, 0);
    return Delivers(fd.get(), server, 53, hosts.get()) ? "the host's" : "silent";
  };
  EXPECT_STREQ(silent(&f->inside, "172.19.0.1"), "the host's");
  EXPECT_STREQ(silent(&dns.bed.neighbour, "172.19.0.1"), "the host's");
  const std::string leases = ReadWholeFile(dns.bed.scratch / "networks/leases.json");
  constexpr std::string_view kPort = "\"port\":";
  const auto number =
      static_cast<uint16_t>(std::stoi(leases.substr(leases.find(kPort) + kPort.size())));
  ASSERT_NE(number, 0);
  for (const Place place : {Place(&a->inside), Place(&d->inside), Place(&dns.bed.neighbour)}) {
    EXPECT_EQ(Connect(place, "172.19.0.1", number).outcome, Outcome::kSilent);
  }
}

TEST(Dns, TheRestGoesToTheHostsServers) {
  DnsBed dns("search example.org\nnameserver 127.0.0.77\n");
  const core::Fd upstream = BindUdp(nullptr, 53, "127.0.0.77");
  const auto web = dns.Start("aaaaaaaa", {"web"});
  std::string asked;
  std::string answer;
  std::thread server([&] { asked = AnswerOnce(upstream.get(), "192.0.2.1"); });
  answer = Ask(&web->inside, "example.com");
  server.join();
  EXPECT_EQ(answer, "192.0.2.1");
  EXPECT_EQ(asked, Question("example.com", kA).substr(2));
  // Cut off: the asker is told, and over TCP gets the whole.
  std::thread cut([&] { AnswerOnce(upstream.get(), "192.0.2.1", true); });
  answer = Ask(&web->inside, "example.com");
  cut.join();
  EXPECT_EQ(answer, "cut");
  const core::Fd listener = ListenTcp(nullptr, 53, "127.0.0.77");
  std::thread tcp([&] {
    const core::Fd accepted(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const size_t size = Question("example.com", kA).size();
    std::string reply = Receive(accepted.get(), size + 2);
    reply[4] = '\x81';
    reply[9] = 1;
    reply += std::string("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\2", 16);
    reply[1] = static_cast<char>(reply.size() - 2);
    (void)!send(accepted.get(), reply.data(), reply.size(), MSG_NOSIGNAL);
  });
  answer = AskTcp(&web->inside, "example.com");
  tcp.join();
  EXPECT_EQ(answer, "192.0.2.2");
  // Another configuration counts at once.
  dns.bed.scratch.Write("resolv.conf", "nameserver 127.0.0.78\n");
  const core::Fd other = BindUdp(nullptr, 53, "127.0.0.78");
  std::thread moved([&] { AnswerOnce(other.get(), "192.0.2.3"); });
  answer = Ask(&web->inside, "example.com");
  moved.join();
  EXPECT_EQ(answer, "192.0.2.3");
}

TEST(Dns, AContainersOwnServersComeFirst) {
  DnsBed dns;
  const core::Fd own = BindUdp(nullptr, 53, "127.0.0.80");
  const auto web = dns.Start("aaaaaaaa", {"web"}, "bridge", "", {"127.0.0.81", "127.0.0.80"});
  std::string answer;
  // Nobody listens at the first.
  std::thread server([&] { AnswerOnce(own.get(), "192.0.2.4"); });
  answer = Ask(&web->inside, "example.com");
  server.join();
  EXPECT_EQ(answer, "192.0.2.4");
}

TEST(Dns, InternalNetworksAskNobody) {
  DnsBed dns;
  const core::Fd upstream = BindUdp(nullptr, 53, "127.0.0.77");
  NetworkSpec vault;
  vault.name = "vault";
  vault.internal = true;
  ASSERT_TRUE(dns.bed.impl()->Create(vault).ok());
  const auto a = dns.Start("aaaaaaaa", {"a"}, "vault");
  EXPECT_EQ(Ask(&a->inside, "a", kA, "172.19.1.1"), a->ip());
  EXPECT_EQ(Ask(&a->inside, "example.com", kA, "172.19.1.1"), "code 5");
}

TEST(Dns, SurvivesItsStarterAndComesBackIfKilled) {
  DnsBed dns;
  const auto web = dns.Start("aaaaaaaa", {"web"});
  dns.bed.Reopen();
  EXPECT_EQ(Ask(&web->inside, "web"), web->ip());
  const std::string text = ReadWholeFile(dns.bed.scratch / "networks/dns/minibox0");
  const pid_t pid = std::stoi(text.substr(text.find("pid ") + 4));
  const core::Fd pidfd(core::sys::PidfdOpen(pid));
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  // Dead, and perhaps not reaped: the library has to notice in either case.
  pollfd ended = {pidfd.get(), POLLIN, 0};
  ASSERT_EQ(poll(&ended, 1, 10'000), 1);
  ASSERT_TRUE(dns.bed.impl()->Reconcile({{"aaaaaaaa", 0}}).ok());
  EXPECT_EQ(Ask(&web->inside, "web"), web->ip());
  // A flushed ruleset takes the way to it along.
  ASSERT_TRUE(Shell("nft flush ruleset"));
  const auto next = dns.Start("bbbbbbbb", {"next"});
  EXPECT_EQ(Ask(&next->inside, "web"), web->ip());
}

TEST(Dns, NonsenseDoesNotStopIt) {
  DnsBed dns;
  const auto web = dns.Start("aaaaaaaa", {"web"});
  const core::Fd fd = BindUdp(&web->inside, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(53);
  inet_pton(AF_INET, kGateway, &address.sin_addr);
  uint32_t seed = 1;
  for (int i = 0; i < 2000; ++i) {
    std::string noise(seed % 600, '\0');
    for (char& c : noise) c = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);
    if (i % 2 == 0 && noise.size() > 12) noise.replace(2, 4, std::string("\x01\0\0\1", 4));
    (void)!sendto(fd.get(), noise.data(), noise.size(), 0,
                  reinterpret_cast<const sockaddr*>(&address), sizeof address);
    seed = seed * 1664525 + 1013904223;
  }
  for (int i = 0; i < 100; ++i) {
    const Connection connection = Connect(&web->inside, kGateway, 53);
    (void)!send(connection.fd.get(), "\xff\xff garbage", 10, MSG_NOSIGNAL);
  }
  EXPECT_EQ(Ask(&web->inside, "web"), web->ip());
  EXPECT_EQ(AskTcp(&web->inside, "web"), web->ip());
}

}  // namespace
}  // namespace minibox::testing
