// SPDX-License-Identifier: Apache-2.0
#include "client.h"

#include <curl/curl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "wire/frames.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using std::chrono::steady_clock;
using wire::StrCat;

// One call in progress, as libcurl's callbacks see it.
struct Transfer {
  CURL* curl;
  const Call& call;
  Reply reply{};
  steady_clock::time_point deadline = steady_clock::time_point::max();
  bool head_arrived = false;
  bool refused_by_sink = false;
  bool timed_out = false;
  bool stopped = false;
};

long StatusOf(CURL* curl) {
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

size_t OnBody(char* bytes, size_t, size_t count, void* data) {
  auto* transfer = static_cast<Transfer*>(data);
  const std::string_view text(bytes, count);
  if (!transfer->call.sink || StatusOf(transfer->curl) != 200) {
    transfer->reply.body += text;
    return count;
  }
  transfer->refused_by_sink = !transfer->call.sink(text);
  return transfer->refused_by_sink ? 0 : count;
}

size_t OnHeader(char* bytes, size_t, size_t count, void* data) {
  auto* transfer = static_cast<Transfer*>(data);
  const bool end_of_head = std::string_view(bytes, count) == "\r\n";
  if (end_of_head && StatusOf(transfer->curl) >= 200) transfer->head_arrived = true;
  return count;
}

size_t OnUpload(char* buffer, size_t, size_t size, void* data) {
  auto* transfer = static_cast<Transfer*>(data);
  ssize_t count;
  do {
    count = read(*transfer->call.upload_fd, buffer, size);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? CURL_READFUNC_ABORT : static_cast<size_t>(count);
}

int OnProgress(void* data, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto* transfer = static_cast<Transfer*>(data);
  transfer->timed_out = !transfer->head_arrived && steady_clock::now() > transfer->deadline;
  transfer->stopped = transfer->call.stop.stop_requested();
  return transfer->timed_out || transfer->stopped ? 1 : 0;
}

std::vector<std::pair<std::string, std::string>> Headers(CURL* curl, unsigned origin) {
  std::vector<std::pair<std::string, std::string>> headers;
  curl_header* header = nullptr;
  while ((header = curl_easy_nextheader(curl, origin, -1, header)) != nullptr) {
    headers.emplace_back(wire::AsciiLower(header->name), header->value);
  }
  return headers;
}

std::optional<std::string> FindIn(const std::vector<std::pair<std::string, std::string>>& headers,
                                  std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (wire::EqualsIgnoreCase(key, name)) return value;
  }
  return std::nullopt;
}

constexpr size_t kMaxReplyHead = 64 << 10;
constexpr size_t kMaxErrorBody = 1 << 20;

class CurlStream final : public StreamConnection {
 public:
  explicit CurlStream(std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl)
      : curl_(std::move(curl)) {
    curl_easy_getinfo(curl_.get(), CURLINFO_ACTIVESOCKET, &socket_);
  }
  int fd() const override { return static_cast<int>(socket_); }

  StatusOr<std::optional<size_t>> Receive(char* buffer, size_t size) override {
    if (!early_.empty()) {
      const size_t count = early_.copy(buffer, size);
      early_.erase(0, count);
      return std::optional<size_t>(count);
    }
    size_t count = 0;
    const CURLcode code = curl_easy_recv(curl_.get(), buffer, size, &count);
    if (code == CURLE_AGAIN) return std::optional<size_t>();
    if (code != CURLE_OK) return Status(StatusCode::kUnavailable, curl_easy_strerror(code));
    return std::optional<size_t>(count);
  }
  StatusOr<size_t> Send(std::string_view bytes) override {
    size_t count = 0;
    const CURLcode code = curl_easy_send(curl_.get(), bytes.data(), bytes.size(), &count);
    if (code == CURLE_AGAIN) return size_t{0};
    if (code != CURLE_OK) return Status(StatusCode::kUnavailable, curl_easy_strerror(code));
    return count;
  }

  Status SendAll(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto count = Send(bytes);
      if (!count.ok()) return count.status();
      bytes.remove_prefix(*count);
      if (!bytes.empty()) Wait(POLLOUT);
    }
    return Status();
  }
  // Until `done` says that what has come so far is enough; at most `limit` bytes.
  StatusOr<std::string> ReceiveUntil(size_t limit,
                                     const std::function<bool(const std::string&)>& done) {
    std::string text;
    while (!done(text)) {
      char buffer[4096];
      const auto count = Receive(buffer, sizeof buffer);
      if (!count.ok()) return count.status();
      if (!*count) {
        Wait(POLLIN);
        continue;
      }
      if (**count == 0 || text.size() > limit) {
        return Status(StatusCode::kUnavailable, "the daemon's answer broke off");
      }
      text.append(buffer, **count);
    }
    return text;
  }
  void set_early(std::string bytes) { early_ = std::move(bytes); }

 private:
  void Wait(short events) const {
    pollfd polled{.fd = fd(), .events = events, .revents = 0};
    (void)poll(&polled, 1, -1);  // interrupted or not, the call is tried again
  }

  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl_;
  curl_socket_t socket_ = -1;
  std::string early_;  // came with the head
};

// Status line and header lines.
bool ParseReplyHead(std::string_view text, Reply* reply) {
  bool first = true;
  while (!text.empty()) {
    const size_t end = text.find("\r\n");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 2);
    if (std::exchange(first, false)) {
      const size_t blank = line.find(' ');
      const auto status =
          blank == line.npos ? std::nullopt : wire::ParseInt64(line.substr(blank + 1, 3));
      if (!line.starts_with("HTTP/1.1 ") || !status) return false;
      reply->status = static_cast<int>(*status);
      continue;
    }
    const size_t colon = line.find(':');
    if (colon == line.npos) continue;
    reply->headers.emplace_back(wire::AsciiLower(line.substr(0, colon)),
                                std::string(wire::TrimSpace(line.substr(colon + 1))));
  }
  return reply->status != 0;
}

}  // namespace

std::optional<std::string> Reply::Header(std::string_view name) const {
  return FindIn(headers, name);
}

std::optional<std::string> Reply::Trailer(std::string_view name) const {
  return FindIn(trailers, name);
}

std::string EncodeQuery(const Query& query) {
  static constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  const auto encode = [](std::string_view text) {
    std::string out;
    for (const char c : text) {
      if (kPlain.find(c) != kPlain.npos) {
        out += c;
      } else {
        char escape[4];
        snprintf(escape, sizeof escape, "%%%02X", static_cast<unsigned char>(c));
        out += escape;
      }
    }
    return out;
  };
  std::string text;
  for (const auto& [name, value] : query) {
    if (!text.empty()) text += "&";
    text += StrCat(encode(name), "=", encode(value));
  }
  return text;
}

struct Client::Impl {
  std::string shown;   // as the user gave it
  std::string base;    // "http://host:port"
  std::string socket;  // path of a Unix socket, or empty
  std::string token;
  std::function<void(const std::string&)> observer{};

  StatusOr<Reply> Send(const Call& call);
  StatusOr<Upgraded> Upgrade(const Call& call);
  void Observe(const Call& call, steady_clock::time_point begin, const Status& failure,
               int status) const;
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::Client(Client&&) noexcept = default;
Client::~Client() = default;

StatusOr<Client> Client::ForHost(std::string_view url, std::string_view token) {
  auto impl = std::make_unique<Impl>();
  impl->shown = url;
  impl->token = token;
  if (url.ends_with('/')) url.remove_suffix(1);
  constexpr std::string_view kUnix = "unix://";
  if (url.starts_with(kUnix)) {
    impl->socket = url.substr(kUnix.size());
    impl->base = "http://localhost";
  } else {
    impl->base = url;
  }
  const bool http = url.starts_with("http://") || url.starts_with("https://");
  if ((!http && !impl->socket.starts_with('/')) || url.find_first_of(" \t\r\n") != url.npos) {
    return Status(StatusCode::kInvalidArgument,
                  StrCat("'", url, "' is not http://, https:// or unix:///path"),
                  {.reason = "invalid_argument", .field = "host"});
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  return Client(std::move(impl));
}

StatusOr<Reply> Client::Impl::Send(const Call& call) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle(curl_easy_init(),
                                                                   curl_easy_cleanup);
  CURL* curl = handle.get();
  Transfer transfer{.curl = curl, .call = call};
  if (call.patience) transfer.deadline = steady_clock::now() + *call.patience;

  std::string url = base + call.path;
  if (!call.query.empty()) url += "?" + EncodeQuery(call.query);
  curl_slist* headers = nullptr;
  const auto add_header = [&](const std::string& line) {
    headers = curl_slist_append(headers, line.c_str());
  };
  if (!token.empty()) add_header("Authorization: Bearer " + token);
  for (const auto& [name, value] : call.headers) add_header(StrCat(name, ": ", value));
  if (call.upload_fd) {
    add_header("Content-Type: application/x-tar");
    add_header("Transfer-Encoding: chunked");
  } else if (call.method == "POST") {
    add_header("Content-Type: application/json");
  }
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> owner(headers,
                                                                          curl_slist_free_all);
  char why[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  if (!socket.empty()) {
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
  }
  // The daemon is never behind the proxies that the environment names for registries.
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, OnBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, OnHeader);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, OnProgress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  if (call.method == "HEAD") curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  if (call.method == "POST") {
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    if (call.upload_fd) {
      curl_easy_setopt(curl, CURLOPT_READFUNCTION, OnUpload);
      curl_easy_setopt(curl, CURLOPT_READDATA, &transfer);
    } else {
      curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call.body.c_str());
      curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                       static_cast<curl_off_t>(call.body.size()));
    }
  }
  const CURLcode code = curl_easy_perform(curl);
  transfer.reply.status = static_cast<int>(StatusOf(curl));
  transfer.reply.headers = Headers(curl, CURLH_HEADER);
  transfer.reply.trailers = Headers(curl, CURLH_TRAILER);
  if (code == CURLE_OK) return std::move(transfer.reply);

  const std::string detail = *why != '\0' ? why : curl_easy_strerror(code);
  if (transfer.refused_by_sink) return Status(StatusCode::kCancelled, "cannot write the output");
  if (transfer.stopped) return Status(StatusCode::kCancelled, "interrupted");
  if (transfer.timed_out) {
    return Status(StatusCode::kDeadlineExceeded, StrCat("no answer from ", shown));
  }
  if (transfer.head_arrived) {
    // An answer that arrived whole before the connection broke, say during an upload, counts.
    if (transfer.reply.status != 200 && code != CURLE_PARTIAL_FILE) {
      return std::move(transfer.reply);
    }
    return Status(StatusCode::kUnavailable, StrCat("the daemon's answer broke off: ", detail));
  }
  return Status(StatusCode::kUnavailable,
                StrCat("cannot reach the daemon at ", shown, ": ", detail));
}

StatusOr<Client::Upgraded> Client::Impl::Upgrade(const Call& call) {
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle(curl_easy_init(), curl_easy_cleanup);
  CURL* curl = handle.get();
  char why[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl, CURLOPT_URL, base.c_str());
  if (!socket.empty()) {
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
  }
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
  curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
  const CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK) {
    return Status(StatusCode::kUnavailable, StrCat("cannot reach the daemon at ", shown, ": ",
                                                   *why != '\0' ? why : curl_easy_strerror(code)));
  }
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
  auto stream = std::make_unique<CurlStream>(std::move(handle));

  std::string_view authority = base;
  authority.remove_prefix(authority.find("://") + 3);
  authority = authority.substr(0, authority.find('/'));
  std::string target = call.path;
  if (!call.query.empty()) target += "?" + EncodeQuery(call.query);
  std::string request =
      StrCat("POST ", target, " HTTP/1.1\r\nHost: ", authority,
             "\r\nConnection: Upgrade\r\nUpgrade: ", wire::kStreamProtocol,
             "\r\nContent-Type: application/json\r\nContent-Length: ", call.body.size(), "\r\n");
  if (!token.empty()) request += StrCat("Authorization: Bearer ", token, "\r\n");
  const Status sent = stream->SendAll(StrCat(request, "\r\n", call.body));
  if (!sent.ok()) return sent;

  constexpr std::string_view kEnd = "\r\n\r\n";
  auto head = stream->ReceiveUntil(
      kMaxReplyHead, [&](const std::string& text) { return text.find(kEnd) != text.npos; });
  if (!head.ok()) return head.status();
  Upgraded upgraded;
  const size_t end = head->find(kEnd);
  if (!ParseReplyHead(std::string_view(*head).substr(0, end), &upgraded.reply)) {
    return Status(StatusCode::kUnavailable, "the daemon's answer is not HTTP");
  }
  std::string rest = head->substr(end + kEnd.size());
  if (upgraded.reply.status == 101) {
    stream->set_early(std::move(rest));
    upgraded.stream = std::move(stream);
    return upgraded;
  }
  const auto length = wire::ParseInt64(upgraded.reply.Header("content-length").value_or(""));
  const size_t wanted = static_cast<size_t>(std::max<int64_t>(length.value_or(0), 0));
  stream->set_early(std::move(rest));
  auto body = stream->ReceiveUntil(kMaxErrorBody,
                                   [&](const std::string& text) { return text.size() >= wanted; });
  if (!body.ok()) return body.status();
  upgraded.reply.body = std::move(*body);
  return upgraded;
}

void Client::Impl::Observe(const Call& call, steady_clock::time_point begin, const Status& failure,
                           int status) const {
  if (!observer) return;
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - begin).count();
  std::string target = call.path;
  if (!call.query.empty()) target += "?" + EncodeQuery(call.query);
  observer(StrCat("[debug] ", call.method, " ", target, " -> ",
                  failure.ok() ? StrCat(status) : std::string(failure.message()), ", ", took,
                  " ms\n"));
}

void Client::set_observer(std::function<void(const std::string&)> observer) {
  impl_->observer = std::move(observer);
}

StatusOr<Reply> Client::Send(const Call& call) {
  const auto begin = steady_clock::now();
  auto reply = impl_->Send(call);
  impl_->Observe(call, begin, reply.status(), reply.ok() ? reply->status : 0);
  return reply;
}

StatusOr<Client::Upgraded> Client::Upgrade(const Call& call) {
  const auto begin = steady_clock::now();
  auto upgraded = impl_->Upgrade(call);
  impl_->Observe(call, begin, upgraded.status(), upgraded.ok() ? upgraded->reply.status : 0);
  return upgraded;
}

}  // namespace minibox::cli
