// SPDX-License-Identifier: Apache-2.0
#include "server.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::Status;
using minibox::StatusCode;
using minibox::StatusOr;
using minibox::wire::EqualsIgnoreCase;
using minibox::wire::StrCat;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// For answering 503 while all other connections are held by requests.
constexpr int kReservedThreads = 16;
constexpr milliseconds kHeadTimeout = std::chrono::seconds(30);
constexpr milliseconds kBodyTimeout = std::chrono::seconds(60);
constexpr milliseconds kIdleTimeout = std::chrono::seconds(60);
// After an answer to a request whose body was not read: how long and how much of it is thrown
// away, so that the client reads the answer before its connection is reset.
constexpr milliseconds kLingerTime = std::chrono::seconds(2);
constexpr size_t kLingerBytes = 64 << 20;
// How long the accepting thread may turn in circles before it is put to sleep.
constexpr milliseconds kSpinTime{100};
// A peer whose machine vanished is noticed after 60 + 4 * 15 seconds.
constexpr int kKeepAliveIdle = 60, kKeepAliveInterval = 15, kKeepAliveProbes = 4;

// Calls `visit` with every socket of this process.
template <typename Visit>
void ForEachSocket(Visit visit) {
  DIR* dir = opendir("/proc/self/fd");
  if (dir == nullptr) return;
  while (const dirent* entry = readdir(dir)) {
    int fd = -1;
    const char* end = entry->d_name + strlen(entry->d_name);
    if (std::from_chars(entry->d_name, end, fd).ptr != end || fd == dirfd(dir)) continue;
    sockaddr_in local{};
    socklen_t size = sizeof local;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) == 0 &&
        local.sin_family == AF_INET) {
      visit(fd, local);
    }
  }
  closedir(dir);
}

std::string AddressText(const sockaddr_in& address) {
  char text[INET_ADDRSTRLEN];
  return inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
}

// What we keep of a connection, from its first byte to its end. Used by its thread only.
struct ConnectionState {
  int socket = -1;
  std::string local_address;
  bool over_limit = false;
  steady_clock::time_point since = steady_clock::now();  // accepted, or last answer
  uint64_t consumed = 0;  // bytes that civetweb had taken from the socket then
  // Where in the connection's bytes the present request begins. With a chunked body, whose length
  // as sent we do not know, requests are taken not to be pipelined.
  uint64_t begin = 0;
};

// civetweb does not tell its descriptor; the two addresses of a connection identify it, since no
// two open sockets of one host share them. Once per connection.
void FindSocket(const mg_request_info& info, ConnectionState* state) {
  ForEachSocket([&](int fd, const sockaddr_in& local) {
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (state->socket >= 0 || ntohs(local.sin_port) != info.server_port ||
        getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0 ||
        ntohs(peer.sin_port) != info.remote_port || AddressText(peer) != info.remote_addr) {
      return;
    }
    state->socket = fd;
    state->local_address = AddressText(local);
    for (const auto& [option, value] : {std::pair{TCP_KEEPIDLE, kKeepAliveIdle},
                                        {TCP_KEEPINTVL, kKeepAliveInterval},
                                        {TCP_KEEPCNT, kKeepAliveProbes}}) {
      setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value);
    }
  });
}

// TCP_CLOSE_WAIT of <netinet/tcp.h>, which cannot be included beside <linux/tcp.h>.
constexpr uint8_t kCloseWait = 8;

// Bytes that civetweb has read from the socket.
uint64_t ConsumedBytes(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  int waiting = 0;
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
      ioctl(socket, SIOCINQ, &waiting) != 0) {
    return 0;
  }
  // The end of what the peer sends counts as a byte.
  const uint64_t end = info.tcpi_state == kCloseWait ? 1 : 0;
  return info.tcpi_bytes_received - end - static_cast<uint64_t>(waiting);
}

// Takes the head out of civetweb's buffer. civetweb is lenient where proxies differ (RFC 9112
// §5.1, §2.2): blanks before a colon, line ends without CR, a header line that does not parse
// ends the headers silently, and so does the 65th. Its pointers lead into the buffer, where only
// separators were overwritten with NUL, so what lies between them tells. nullopt: malformed.
// `length` receives the length of the head in the buffer, which begins at info.request_method.
std::optional<RequestHead> TakeHead(const mg_request_info& info, bool* too_many, size_t* length) {
  const char* const buffer = info.request_method;
  const auto within = [&](const char* p) { return p >= buffer && p < buffer + kMaxHead; };
  RequestHead head;
  head.method = info.request_method;
  head.target = info.local_uri_raw;
  if (info.query_string != nullptr) head.target += StrCat("?", info.query_string);
  head.minor = strcmp(info.http_version, "1.0") == 0 ? 0 : 1;
  for (int i = 0; i < info.num_headers; ++i) {
    const char* const name = info.http_headers[i].name;
    const char* const value = info.http_headers[i].value;
    const char* const colon = name + strlen(name);
    const char* const end = value + strlen(value);
    if (!within(end) || !within(end + 3)) return std::nullopt;
    // "Name :" left two NULs, "Name:" one.
    if (colon + 1 < value && colon[1] == '\0') return std::nullopt;
    if (end[1] != '\0') return std::nullopt;  // a line end without CR
    const bool last = i + 1 == info.num_headers;
    if (!last && info.http_headers[i + 1].name != end + 2) return std::nullopt;
    if (last) *length = static_cast<size_t>(end + 4 - buffer);
    if (last && !(end[2] == '\r' && end[3] == '\0')) {
      *too_many = info.num_headers == MG_MAX_HEADERS;
      return std::nullopt;
    }
    std::string_view text(value);
    while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
    head.headers.push_back({name, std::string(text)});
  }
  return head;
}

// What an error answer needs of a head whose other parts may be what is wrong with it.
RequestHead AcceptOnly(const mg_request_info& info) {
  RequestHead head;
  if (info.request_method != nullptr) head.method = info.request_method;
  for (int i = 0; i < info.num_headers; ++i) {
    const mg_header& header = info.http_headers[i];
    if (EqualsIgnoreCase(header.name, "Accept")) head.headers.push_back({"Accept", header.value});
  }
  return head;
}

class CivetwebBody : public BodySource {
 public:
  CivetwebBody(mg_connection* connection, int socket, bool chunked)
      : connection_(connection), socket_(socket), chunked_(chunked) {}

  StatusOr<size_t> Read(char* buffer, size_t size) override {
    const auto begin = steady_clock::now();
    while (true) {
      const int count = mg_read(connection_, buffer, size);
      if (count > 0) return static_cast<size_t>(count);
      if (count == 0 && chunked_) return size_t{0};
      if (PeerIsGone() || (count < 0 && !chunked_)) {
        return Status(StatusCode::kCancelled, "the client is gone");
      }
      // civetweb gives up after the head's time; of a chunked body it has lost its place then.
      const auto waited = steady_clock::now() - begin;
      if (waited >= (chunked_ ? kHeadTimeout : kBodyTimeout)) {
        return Status(StatusCode::kDeadlineExceeded, "no progress of the request body",
                      {.reason = "timeout"});
      }
      if (chunked_) {
        return Status(StatusCode::kInvalidArgument, "malformed chunk in the request body",
                      {.reason = "invalid_request"});
      }
    }
  }

 private:
  bool PeerIsGone() const {
    pollfd look{.fd = socket_, .events = POLLRDHUP, .revents = 0};
    return poll(&look, 1, 0) > 0;
  }

  mg_connection* connection_;
  int socket_;
  bool chunked_;
};

void DiscardInput(int socket) {
  shutdown(socket, SHUT_WR);
  const auto end = steady_clock::now() + kLingerTime;
  size_t discarded = 0;
  char buffer[16 << 10];
  while (discarded < kLingerBytes) {
    const auto left = std::chrono::duration_cast<milliseconds>(end - steady_clock::now());
    pollfd ready{.fd = socket, .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || poll(&ready, 1, static_cast<int>(left.count())) <= 0) return;
    const ssize_t count = recv(socket, buffer, sizeof buffer, MSG_DONTWAIT);
    if (count <= 0) return;
    discarded += static_cast<size_t>(count);
  }
}

// The wish of both sides as civetweb understands it, so that what we announce is what it does.
bool WantsKeepAlive(const RequestHead& head) {
  if (head.minor == 0) return false;
  return head.Count("Connection") == 0 || head.HasToken("Connection", "keep-alive");
}

}  // namespace

struct Server::Impl {
  Options options;
  Handler handler;
  std::unique_ptr<PeerWatch> watch;
  mg_context* context = nullptr;
  int port = 0;
  int listener = -1;  // civetweb's
  int wake = -1;      // takes its place once it is closed
  std::atomic<int> connections{0};
  std::atomic<bool> accepting{true};
  std::atomic<bool> starting{true};

  std::mutex mutex;
  std::string start_error;
  std::condition_variable idle;
  int requests = 0;  // in progress

  static Impl* Of(const mg_connection* connection) {
    return static_cast<Impl*>(mg_get_user_data(mg_get_context(connection)));
  }
  static ConnectionState* StateOf(const mg_connection* connection) {
    return static_cast<ConnectionState*>(mg_get_user_connection_data(connection));
  }

  bool NearLimit() const { return connections > options.max_connections * 3 / 4; }

  // An answer to what never became a request.
  void Reject(ConnectionState* state, RequestHead head, const HttpError& error) {
    Exchange exchange(std::move(head), {.socket = state->socket});
    exchange.SendError(error);
    DiscardInput(state->socket);
  }

  // Whether the connection may carry another request.
  bool Serve(mg_connection* connection, ConnectionState* state) {
    bool too_many = false;
    size_t head_length = 0;
    const mg_request_info& info = *mg_get_request_info(connection);
    auto head = TakeHead(info, &too_many, &head_length);
    if (!head) {
      const HttpError error = too_many
                                  ? HttpError{431, "head_too_large", "more than 64 headers", {}}
                                  : HttpError{400, "invalid_request", "malformed request head", {}};
      Reject(state, {}, error);
      return false;
    }
    head->local_address = state->local_address;
    if (const auto error = CheckHead(*head)) {
      // The framing may be what is wrong: nothing may be read by it.
      RequestHead plain{.method = head->method, .headers = head->headers};
      std::erase_if(plain.headers,
                    [](const Header& header) { return !EqualsIgnoreCase(header.name, "Accept"); });
      Reject(state, std::move(plain), *error);
      return false;
    }
    if (state->over_limit) {
      HttpError error{503, "too_many_connections", "too many connections", {}};
      error.headers.push_back({"Retry-After", "1"});
      Reject(state, std::move(*head), error);
      return false;
    }
    const BodyFraming framing = FramingOf(*head);
    const uint64_t length = head_length + framing.length;
    CivetwebBody body(connection, state->socket, framing.chunked);
    // civetweb's buffer, of which it has read what the body has of it, but moved nothing.
    const auto early_bytes = [&info, state, length, chunked = framing.chunked] {
      const uint64_t have = ConsumedBytes(state->socket) - state->begin;
      if (chunked || have <= length || length + (have - length) > kMaxHead) return std::string();
      return std::string(info.request_method + length, have - length);
    };
    const bool keep_alive = WantsKeepAlive(*head);
    Exchange exchange(
        std::move(*head),
        {.socket = state->socket,
         .watch = watch.get(),
         .body = &body,
         // Idle connections must not use up what new ones need.
         .may_keep_alive = [=, this] { return keep_alive && accepting && !NearLimit(); },
         .early_bytes = early_bytes});
    handler(exchange);
    if (!exchange.answered() || !exchange.body_consumed() || exchange.taken_over()) {
      DiscardInput(state->socket);
    }
    state->begin = framing.chunked ? ConsumedBytes(state->socket) : state->begin + length;
    return exchange.keep_alive();
  }

  static int OnRequest(mg_connection* connection) {
    Impl* self = Of(connection);
    ConnectionState* state = StateOf(connection);
    if (state->socket < 0) FindSocket(*mg_get_request_info(connection), state);
    {
      std::lock_guard lock(self->mutex);
      ++self->requests;
    }
    const bool keep_alive = state->socket >= 0 && self->Serve(connection, state);
    if (!keep_alive) mg_disable_connection_keep_alive(connection);
    state->consumed = ConsumedBytes(state->socket);
    state->since = steady_clock::now();
    std::lock_guard lock(self->mutex);
    if (--self->requests == 0) self->idle.notify_all();
    return 1;  // civetweb has nothing left to do
  }

  // civetweb could not read or parse a head.
  static int OnError(mg_connection* connection, int status, const char* message) {
    Impl* self = Of(connection);
    ConnectionState* state = StateOf(connection);
    const mg_request_info* info = mg_get_request_info(connection);
    if (state == nullptr || info == nullptr) return 0;
    if (state->socket < 0) FindSocket(*info, state);
    if (state->socket < 0) return 0;
    HttpError error{status, "invalid_request", "malformed request head", {}};
    if (strcmp(message, "Malformed message") == 0) {
      // That is all it says of a head that is too long or too late.
      if (ConsumedBytes(state->socket) - state->consumed >= kMaxHead) {
        error = {431, "head_too_large", "request head is longer than 16 KiB", {}};
      } else if (steady_clock::now() - state->since >= kHeadTimeout) {
        error = {408, "timeout", "the request head took too long", {}};
      }
    } else if (status != 505) {
      error.status = 400;
    }
    self->Reject(state, AcceptOnly(*info), error);
    return 0;
  }

  static int OnConnection(const mg_connection* connection, void** data) {
    auto state = std::make_unique<ConnectionState>();
    Impl* self = Of(connection);
    state->over_limit = ++self->connections > self->options.max_connections;
    *data = state.release();
    return 0;
  }

  static void OnClose(const mg_connection* connection) {
    delete StateOf(connection);
    --Of(connection)->connections;
  }

  static int OnLog(const mg_connection* connection, const char* message) {
    // During the start these say what mg_start2 only gives a number for.
    Impl* self = Of(connection);
    if (self != nullptr && self->starting) {
      std::lock_guard lock(self->mutex);
      self->start_error = message;
    }
    return 1;
  }

  Status Listen();
};

Status Server::Impl::Listen() {
  const std::string ports = StrCat(options.host, ":", options.port);
  const std::string threads = std::to_string(options.max_connections + kReservedThreads);
  const std::string head = std::to_string(kMaxHead);
  const std::string head_timeout = std::to_string(kHeadTimeout.count());
  const std::string idle_timeout = std::to_string(kIdleTimeout.count());
  const char* settings[] = {
      "listening_ports",
      ports.c_str(),
      "num_threads",
      threads.c_str(),
      "max_request_size",
      head.c_str(),
      "request_timeout_ms",
      head_timeout.c_str(),
      "keep_alive_timeout_ms",
      idle_timeout.c_str(),
      "enable_keep_alive",
      "yes",
      "tcp_nodelay",
      "1",
      "listen_backlog",
      "1024",
      "decode_url",
      "no",
      "enable_auth_domain_check",
      "no",
      nullptr,
  };
  mg_callbacks callbacks{};
  callbacks.begin_request = OnRequest;
  callbacks.http_error = OnError;
  callbacks.init_connection = OnConnection;
  callbacks.connection_close = OnClose;
  callbacks.log_message = OnLog;
  mg_init_data init{.callbacks = &callbacks, .user_data = this, .configuration_options = settings};
  unsigned code = 0;
  char text[256] = "";
  mg_error_data error{.code = &code, .text = text, .text_buffer_size = sizeof text};
  context = mg_start2(&init, &error);
  starting = false;
  if (context == nullptr) {
    std::lock_guard lock(mutex);
    return Status(
        StatusCode::kUnavailable,
        StrCat("cannot listen on ", ports, ": ", start_error.empty() ? text : start_error),
        {.reason = "internal"});
  }
  mg_server_port bound{};
  if (mg_get_server_ports(context, 1, &bound) == 1) port = bound.port;
  ForEachSocket([&](int fd, const sockaddr_in& local) {
    int listening = 0;
    socklen_t size = sizeof listening;
    if (ntohs(local.sin_port) == port &&
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening != 0) {
      listener = fd;
    }
  });
  return Status();
}

ServerFeatures AvailableFeatures() {
  return {.unix_socket = mg_check_feature(MG_FEATURES_X_DOMAIN_SOCKET) != 0,
          .tls = mg_check_feature(MG_FEATURES_TLS) != 0,
          .ipv6 = mg_check_feature(MG_FEATURES_IPV6) != 0};
}

Server::Server() : impl_(std::make_unique<Impl>()) {}

StatusOr<std::unique_ptr<Server>> Server::Start(const Options& options, Handler handler) {
  std::unique_ptr<Server> server(new Server);
  Impl& impl = *server->impl_;
  impl.options = options;
  impl.handler = std::move(handler);
  auto watch = PeerWatch::Create();
  if (!watch.ok()) return watch.status();
  impl.watch = std::move(*watch);
  impl.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (impl.wake < 0) return Status(StatusCode::kInternal, "eventfd", {.reason = "internal"});
  mg_init_library(MG_FEATURES_DEFAULT);
  const Status listening = impl.Listen();
  if (!listening.ok()) return listening;
  return server;
}

Server::~Server() {
  if (impl_->context != nullptr) {
    StopAccepting();
    WaitUntilIdle(milliseconds::max());
    // Idle connections would notice only when their poll ends, seconds later.
    ForEachSocket([&](int fd, const sockaddr_in& local) {
      if (ntohs(local.sin_port) == impl_->port) shutdown(fd, SHUT_RDWR);
    });
    const uint64_t one = 1;
    (void)!write(impl_->wake, &one, sizeof one);  // cannot fail: written once
    mg_stop(impl_->context);
    mg_exit_library();
  }
  if (impl_->wake >= 0) close(impl_->wake);
}

int Server::port() const { return impl_->port; }

void Server::StopAccepting() {
  if (!impl_->accepting.exchange(false)) return;
  // civetweb closes its listener only together with all connections; this refuses new ones now.
  shutdown(impl_->listener, SHUT_RDWR);
}

bool Server::WaitUntilIdle(milliseconds limit) {
  std::unique_lock lock(impl_->mutex);
  const auto none = [&] { return impl_->requests == 0; };
  if (!impl_->accepting && impl_->idle.wait_for(lock, std::min(limit, kSpinTime), none))
    return true;
  if (!impl_->accepting) {
    // civetweb's accepting thread now turns in circles on the dead listener. A descriptor that
    // is never readable in its place lets it sleep. Not earlier: a poll that the shutdown has
    // woken but that has not looked again would miss the exchange and sleep its two seconds.
    dup3(impl_->wake, impl_->listener, O_CLOEXEC);
  }
  if (limit == milliseconds::max()) {
    impl_->idle.wait(lock, none);
    return true;
  }
  return impl_->idle.wait_for(lock, limit, none);
}

}  // namespace miniboxd
