// SPDX-License-Identifier: Apache-2.0
#include "registry/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <mutex>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "minibox/version.h"

namespace minibox::registry {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr long kReceiveBytes = 256 << 10;
constexpr int kMaxRedirects = 10;
constexpr size_t kMaxHeaderBytes = 256u << 10;
constexpr size_t kMaxErrorBody = 64u << 10;
constexpr milliseconds kPoll{1'000};
constexpr size_t kMaxIdleHandles = 16;
constexpr size_t kMaxShownUrl = 256;

Status Failure(StatusCode code, std::string message) {
  return core::Error(code, "registry_error", std::move(message));
}

// Without query: it may carry a signature.
std::string ShownUrl(std::string_view url) {
  url = url.substr(0, std::min(url.find('?'), kMaxShownUrl));
  return core::EscapeControl(url);
}

struct EasyCleanup {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
struct MultiCleanup {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
struct ListCleanup {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct UrlCleanup {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using UrlHandle = std::unique_ptr<CURLU, UrlCleanup>;

// The multi handle keeps the connections; its wakeup is what a stop request can use.
struct Handle {
  std::unique_ptr<CURLM, MultiCleanup> multi{curl_multi_init()};
  std::unique_ptr<CURL, EasyCleanup> easy{curl_easy_init()};
};

// One exchange in progress, as libcurl's callbacks see it.
struct Exchange {
  CURL* curl;
  const HttpRequest& request;
  HttpResponse response{};
  size_t header_bytes = 0;
  uint64_t uploaded = 0;
  bool head_arrived = false;
  bool head_given = false;
  Clock::time_point last_byte = Clock::now();
  Status failure{};  // of a callback
};

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

Status GiveHead(Exchange& exchange) {
  if (exchange.head_given) return Status();
  exchange.head_given = true;
  const int status = exchange.response.status;
  if (!exchange.request.on_head || status < 200 || status > 299) return Status();
  return exchange.request.on_head(exchange.response);
}

size_t OnHeader(char* bytes, size_t, size_t count, void* data) {
  auto& exchange = *static_cast<Exchange*>(data);
  exchange.last_byte = Clock::now();
  exchange.header_bytes += count;
  if (exchange.header_bytes > kMaxHeaderBytes) {
    exchange.failure = Failure(StatusCode::kUnavailable, "the answer's head is too long");
    return 0;
  }
  const std::string_view line = core::TrimSpace(std::string_view(bytes, count));
  exchange.head_arrived |= line.empty();
  if (line.starts_with("HTTP/")) {
    exchange.response.headers.clear();  // what came before was 1xx
    return count;
  }
  const size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    exchange.response.headers.emplace_back(core::AsciiLower(line.substr(0, colon)),
                                           core::TrimSpace(line.substr(colon + 1)));
  }
  return count;
}

Status TakeBody(Exchange& exchange, std::string_view bytes) {
  if (exchange.response.status == 0) {
    long status = 0;
    curl_easy_getinfo(exchange.curl, CURLINFO_RESPONSE_CODE, &status);
    exchange.response.status = static_cast<int>(status);
  }
  MBX_RETURN_IF_ERROR(GiveHead(exchange));
  const bool success = exchange.response.status >= 200 && exchange.response.status <= 299;
  if (success && exchange.request.sink) return exchange.request.sink(bytes);
  std::string& body = exchange.response.body;
  if (!success) {
    body += bytes.substr(0, kMaxErrorBody - std::min(kMaxErrorBody, body.size()));
    return Status();
  }
  if (body.size() + bytes.size() > exchange.request.max_body) {
    return Failure(StatusCode::kDataLoss,
                   core::StrCat("the answer exceeds ", exchange.request.max_body, " bytes"));
  }
  body += bytes;
  return Status();
}

size_t OnBody(char* bytes, size_t, size_t count, void* data) {
  auto& exchange = *static_cast<Exchange*>(data);
  exchange.failure = TakeBody(exchange, std::string_view(bytes, count));
  exchange.last_byte = Clock::now();  // a slow disk is not the server's silence
  return exchange.failure.ok() ? count : 0;
}

size_t OnUpload(char* buffer, size_t, size_t size, void* data) {
  auto& exchange = *static_cast<Exchange*>(data);
  exchange.last_byte = Clock::now();
  const uint64_t left = exchange.request.upload_size - exchange.uploaded;
  auto count = exchange.request.upload(exchange.uploaded, buffer,
                                       static_cast<size_t>(std::min<uint64_t>(size, left)));
  if (!count.ok()) {
    exchange.failure = count.status();
    return CURL_READFUNC_ABORT;
  }
  exchange.uploaded += *count;
  return *count;
}

int OnSeek(void* data, curl_off_t offset, int origin) {
  if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<Exchange*>(data)->uploaded = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

void SetMethod(CURL* curl, Exchange& exchange) {
  const HttpRequest& request = exchange.request;
  if (request.upload) {
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.upload_size));
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, OnUpload);
    curl_easy_setopt(curl, CURLOPT_READDATA, &exchange);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, OnSeek);
    curl_easy_setopt(curl, CURLOPT_SEEKDATA, &exchange);
  } else if (request.method == "HEAD") {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    return;
  } else if (request.method != "GET") {
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.c_str());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
  }
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

Status Classify(CURLcode code, const std::string& url, const char* detail) {
  const std::string why =
      core::StrCat(ShownUrl(url), ": ", *detail != '\0' ? detail : curl_easy_strerror(code));
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return Failure(StatusCode::kPermissionDenied, why);
    case CURLE_OPERATION_TIMEDOUT:
      return Failure(StatusCode::kDeadlineExceeded, why);
    case CURLE_OUT_OF_MEMORY:
      return core::Error(StatusCode::kResourceExhausted, "", why);
    default:
      return Failure(StatusCode::kUnavailable, why);
  }
}

StatusOr<UrlHandle> ParseUrl(std::string_view text) {
  UrlHandle url(curl_url());
  const std::string copy(text);
  if (text.find('\0') != std::string_view::npos ||
      curl_url_set(url.get(), CURLUPART_URL, copy.c_str(), 0) != CURLUE_OK) {
    return core::InvalidArgument("url", core::StrCat("'", ShownUrl(text), "' is not a URL"));
  }
  return url;
}

std::string Part(const UrlHandle& url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url.get(), part, &text, flags) != CURLUE_OK) return "";
  std::string copy(text);
  curl_free(text);
  return copy;
}

}  // namespace

struct HttpClient::Impl {
  HttpOptions options;
  std::mutex mutex;
  std::vector<std::unique_ptr<Handle>> idle;

  std::unique_ptr<Handle> Take() {
    {
      const std::lock_guard lock(mutex);
      if (!idle.empty()) {
        auto handle = std::move(idle.back());
        idle.pop_back();
        return handle;
      }
    }
    auto handle = std::make_unique<Handle>();
    return handle->easy && handle->multi ? std::move(handle) : nullptr;
  }

  void Return(std::unique_ptr<Handle> handle) {
    curl_easy_reset(handle->easy.get());
    const std::lock_guard lock(mutex);
    if (idle.size() < kMaxIdleHandles) idle.push_back(std::move(handle));
  }

  // One exchange, no redirects.
  StatusOr<HttpResponse> Perform(const HttpRequest& request, const std::string& url,
                                 const std::string& authorization, const std::stop_token& stop);
  Status Drive(Handle& handle, Exchange& exchange, const std::string& url,
               const std::stop_token& stop) const;
};

Status HttpClient::Impl::Drive(Handle& handle, Exchange& exchange, const std::string& url,
                               const std::stop_token& stop) const {
  CURLM* const multi = handle.multi.get();
  char detail[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(exchange.curl, CURLOPT_ERRORBUFFER, detail);
  const std::stop_callback wake(stop, [multi] { curl_multi_wakeup(multi); });
  while (true) {
    if (stop.stop_requested()) return core::Cancelled(ShownUrl(url));
    int running = 0;
    if (const CURLMcode code = curl_multi_perform(multi, &running); code != CURLM_OK) {
      return core::Internal(core::StrCat("curl_multi_perform: ", curl_multi_strerror(code)));
    }
    int left = 0;
    if (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
      const CURLcode code = message->data.result;
      if (!exchange.failure.ok()) return exchange.failure;
      if (code == CURLE_OK && !exchange.head_arrived) {
        return Failure(StatusCode::kUnavailable,
                       core::StrCat(ShownUrl(url), ": the connection ended within the head"));
      }
      return code == CURLE_OK ? Status() : Classify(code, url, detail);
    }
    const auto silent = Clock::now() - exchange.last_byte;
    curl_off_t connected = 0;
    curl_easy_getinfo(exchange.curl, CURLINFO_PRETRANSFER_TIME_T, &connected);
    // Until then libcurl's own limit on connecting holds.
    const auto limit =
        connected > 0 ? options.idle_timeout : options.idle_timeout + options.connect_timeout;
    if (silent >= limit) {
      return Failure(StatusCode::kDeadlineExceeded,
                     core::StrCat(ShownUrl(url), ": no byte for ",
                                  core::FormatDuration(
                                      std::chrono::nanoseconds(options.idle_timeout).count())));
    }
    const auto wait =
        std::min(kPoll, std::chrono::duration_cast<milliseconds>(limit - silent) + milliseconds(1));
    curl_multi_poll(multi, nullptr, 0, static_cast<int>(wait.count()), nullptr);
  }
}

StatusOr<HttpResponse> HttpClient::Impl::Perform(const HttpRequest& request, const std::string& url,
                                                 const std::string& authorization,
                                                 const std::stop_token& stop) {
  std::unique_ptr<Handle> handle = Take();
  if (handle == nullptr) return core::Internal("curl: no more handles");
  CURL* const curl = handle->easy.get();
  Exchange exchange{.curl = curl, .request = request};
  exchange.response.url = url;

  curl_slist* list = nullptr;
  const auto add = [&list](const std::string& line) {
    list = curl_slist_append(list, line.c_str());
  };
  for (const auto& [name, value] : request.headers) add(core::StrCat(name, ": ", value));
  if (!authorization.empty()) add(core::StrCat("Authorization: ", authorization));
  if (request.upload) add("Content-Type: application/octet-stream");
  // Whether the server wants the body was settled by requests before.
  add("Expect:");
  const std::unique_ptr<curl_slist, ListCleanup> headers(list);

  const bool https = url.starts_with("https://");
  const std::string& proxy = https ? options.https_proxy : options.http_proxy;
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  const std::string agent = core::StrCat("minibox/", LibraryVersion());
  curl_easy_setopt(curl, CURLOPT_USERAGENT, agent.c_str());
  // Set in any case: otherwise libcurl looks into the host program's environment.
  curl_easy_setopt(curl, CURLOPT_PROXY, proxy.c_str());
  curl_easy_setopt(curl, CURLOPT_NOPROXY, options.no_proxy.c_str());
  curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, kReceiveBytes);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(options.connect_timeout.count()));
  if (!options.ca_file.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, options.ca_file.c_str());
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, request.verify ? 1L : 0L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, request.verify ? 2L : 0L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, OnBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, OnHeader);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &exchange);
  SetMethod(curl, exchange);

  curl_multi_add_handle(handle->multi.get(), curl);
  Status status = Drive(*handle, exchange, url, stop);
  curl_multi_remove_handle(handle->multi.get(), curl);
  long code = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
  exchange.response.status = static_cast<int>(code);
  Return(std::move(handle));
  if (status.ok()) status = GiveHead(exchange);
  // An answer may come before the upload has ended, which breaks it.
  const bool answered = code >= 400 && status.code() == StatusCode::kUnavailable;
  if (!status.ok() && !(answered && request.upload)) return status;
  return std::move(exchange.response);
}

HttpClient::HttpClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpClient::~HttpClient() = default;

StatusOr<std::shared_ptr<HttpClient>> HttpClient::Create(const HttpOptions& options) {
  // Thread-safe in the versions that we build with, and counted.
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return core::Internal("curl_global_init");
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  return std::shared_ptr<HttpClient>(new HttpClient(std::move(impl)));
}

StatusOr<HttpResponse> HttpClient::Send(const HttpRequest& request, std::stop_token stop) {
  std::string url = request.url;
  std::string authorization = request.authorization;
  MBX_ASSIGN_OR_RETURN(Origin origin, OriginOf(url));
  for (int redirects = 0;; ++redirects) {
    MBX_ASSIGN_OR_RETURN(HttpResponse response, impl_->Perform(request, url, authorization, stop));
    const int status = response.status;
    const bool safe = request.method == "GET" || request.method == "HEAD";
    if (!IsRedirect(status) || (!safe && status != 307 && status != 308)) return response;
    const auto location = response.Header("location");
    if (!location) {
      return Failure(StatusCode::kUnavailable,
                     core::StrCat(ShownUrl(url), ": a redirect without Location"));
    }
    if (redirects == kMaxRedirects) {
      return Failure(
          StatusCode::kPermissionDenied,
          core::StrCat(ShownUrl(request.url), ": more than ", kMaxRedirects, " redirects"));
    }
    const auto next = ResolveUrl(url, *location);
    const auto next_origin = next.ok() ? OriginOf(*next) : next.status();
    if (!next_origin.ok()) {
      return Failure(StatusCode::kPermissionDenied, core::StrCat(ShownUrl(url), ": redirected to ",
                                                                 next_origin.status().message()));
    }
    if (url.starts_with("https://") && next_origin->scheme != "https") {
      return Failure(StatusCode::kPermissionDenied,
                     core::StrCat(ShownUrl(url), ": redirected from HTTPS to HTTP"));
    }
    if (*next_origin != origin) authorization.clear();
    url = *next;
  }
}

std::optional<std::string_view> HttpResponse::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return std::nullopt;
}

StatusOr<Origin> OriginOf(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const UrlHandle url, ParseUrl(text));
  Origin origin{core::AsciiLower(Part(url, CURLUPART_SCHEME)),
                core::AsciiLower(Part(url, CURLUPART_HOST))};
  const auto port = core::ParseInt64(Part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT));
  if ((origin.scheme != "http" && origin.scheme != "https") || origin.host.empty() || !port) {
    return core::InvalidArgument("url", core::StrCat("'", ShownUrl(text), "' is not http(s)://"));
  }
  origin.port = static_cast<int>(*port);
  return origin;
}

StatusOr<std::string> ResolveUrl(std::string_view base, std::string_view location) {
  MBX_ASSIGN_OR_RETURN(const UrlHandle url, ParseUrl(base));
  const std::string relative(location);
  if (location.find('\0') != std::string_view::npos ||
      curl_url_set(url.get(), CURLUPART_URL, relative.c_str(), 0) != CURLUE_OK) {
    return core::InvalidArgument("url", core::StrCat("'", ShownUrl(location), "' is not a URL"));
  }
  // A fragment is no part of a request; a name in the URL would become an Authorization header.
  curl_url_set(url.get(), CURLUPART_FRAGMENT, nullptr, 0);
  curl_url_set(url.get(), CURLUPART_USER, nullptr, 0);
  curl_url_set(url.get(), CURLUPART_PASSWORD, nullptr, 0);
  std::string resolved = Part(url, CURLUPART_URL);
  MBX_RETURN_IF_ERROR(OriginOf(resolved).status());
  return resolved;
}

std::string PercentEncode(std::string_view text) {
  static constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string out;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      out += c;
    } else {
      char escape[4];
      snprintf(escape, sizeof escape, "%%%02X", static_cast<unsigned char>(c));
      out += escape;
    }
  }
  return out;
}

std::optional<std::chrono::seconds> ParseRetryAfter(std::string_view text) {
  text = core::TrimSpace(text);
  if (const auto seconds = core::ParseUint64(text)) {
    return std::chrono::seconds(std::min<uint64_t>(*seconds, INT32_MAX));
  }
  const std::time_t date = curl_getdate(std::string(text).c_str(), nullptr);
  if (date < 0) return std::nullopt;
  return std::chrono::seconds(std::max<std::time_t>(0, date - std::time(nullptr)));
}

}  // namespace minibox::registry
