// SPDX-License-Identifier: Apache-2.0
#include "config.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <cstdlib>

#include "auth.h"
#include "registry_config.h"
#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::Status;
using minibox::StatusCode;
using minibox::StatusOr;
using minibox::wire::ParseUint64;
using minibox::wire::StrCat;
using minibox::wire::StrSplit;
using minibox::wire::TrimSpace;

constexpr std::string_view kDefaultDataRoot = "/var/lib/minibox";
constexpr const char* kDefaultBuildPrefixes[] = {"/home", "/tmp", "/var/lib/minibox", "/root",
                                                 "/srv",  "/opt", "/usr/local/src"};
constexpr uint64_t kMaxConnections = 16384;
constexpr uint64_t kMaxWorkers = 1024;
constexpr uint64_t kMaxId = 4294967294;
constexpr size_t kKeyDigits = 64;
constexpr std::string_view kNotSupported = "not supported by this version";

// Reads variables and keeps the first error, which names its variable.
class Reader {
 public:
  explicit Reader(const Environment& environment) : environment_(environment) {}

  // Trimmed; empty means unset.
  std::string Get(const char* name) const {
    const auto value = environment_(name);
    return value ? std::string(TrimSpace(*value)) : std::string();
  }
  void Fail(std::string_view name, std::string_view why) {
    if (status_.ok()) {
      status_ = Status(StatusCode::kInvalidArgument, StrCat(name, ": ", why),
                       {.reason = "invalid_argument", .field = std::string(name)});
    }
  }
  void Fail(const Status& status) {
    if (status_.ok()) status_ = status;
  }
  void Flag(const char* name, bool* out) {
    const std::string value = Get(name);
    if (value.empty()) return;
    if (value != "0" && value != "1") return Fail(name, "must be 0 or 1");
    *out = value == "1";
  }
  template <typename T>
  void Number(const char* name, uint64_t low, uint64_t high, T* out) {
    const std::string value = Get(name);
    if (value.empty()) return;
    const auto number = ParseUint64(value);
    if (!number || *number < low || *number > high) {
      return Fail(name, StrCat("must be ", low, " to ", high));
    }
    *out = static_cast<T>(*number);
  }
  std::vector<std::string> List(const char* name) const {
    std::vector<std::string> items;
    const std::string value = Get(name);
    for (const std::string_view item : StrSplit(value, ',')) {
      if (!TrimSpace(item).empty()) items.emplace_back(TrimSpace(item));
    }
    return items;
  }
  void AbsolutePath(const char* name, std::string* out) {
    const std::string value = Get(name);
    if (value.empty()) return;
    if (value[0] != '/') return Fail(name, "must be an absolute path");
    *out = value;
  }
  std::vector<std::string> AbsolutePaths(const char* name) {
    std::vector<std::string> paths = List(name);
    for (const std::string& path : paths) {
      if (path[0] != '/') Fail(name, StrCat("'", path, "' is not an absolute path"));
    }
    return paths;
  }
  void Refuse(const char* name, std::string_view why) {
    if (!Get(name).empty()) Fail(name, why);
  }
  const Status& status() const { return status_; }

 private:
  const Environment& environment_;
  Status status_;
};

bool IsSubnet(std::string_view text) {
  const size_t slash = text.find('/');
  in_addr address;
  const auto bits = slash == text.npos ? std::nullopt : ParseUint64(text.substr(slash + 1));
  return bits && *bits >= 8 && *bits <= 30 &&
         inet_pton(AF_INET, std::string(text.substr(0, slash)).c_str(), &address) == 1;
}

void ReadAddress(Reader& reader, const ServerFeatures& features, Config* config) {
  constexpr const char* kName = "MINIBOX_HTTP_ADDR";
  const std::string value = reader.Get(kName);
  if (value == "none") {
    return reader.Fail(kName, "'none' needs MINIBOX_SOCKET: the daemon would not listen at all");
  }
  if (!value.empty()) {
    const size_t colon = value.rfind(':');
    const auto port = colon == std::string::npos
                          ? std::nullopt
                          : ParseUint64(std::string_view(value).substr(colon + 1));
    if (!port || *port > 65535) return reader.Fail(kName, "must be host:port");
    config->port = static_cast<int>(*port);
    config->host = value.substr(0, colon);
    if (config->host.starts_with('[')) {
      return reader.Fail(
          kName, features.ipv6 ? kNotSupported : "the HTTP server of this build has no IPv6");
    }
    if (config->host.empty()) config->host = "0.0.0.0";
    if (config->host == "localhost") config->host = "127.0.0.1";
    in_addr address;
    if (inet_pton(AF_INET, config->host.c_str(), &address) != 1) {
      return reader.Fail(kName, StrCat("'", config->host, "' is not an IPv4 address"));
    }
  }
  bool insecure = false;
  reader.Flag("MINIBOX_INSECURE", &insecure);
  if (!IsLoopbackHost(config->host) && config->api_token.empty() && !insecure) {
    reader.Fail(kName, StrCat("'", config->host,
                              "' is not a loopback address: set MINIBOX_API_TOKEN, or "
                              "MINIBOX_INSECURE=1 to permit everybody"));
  }
}

void ReadLog(Reader& reader, Config* config) {
  using minibox::LogSeverity;
  const std::string level = reader.Get("MINIBOX_LOG");
  if (level == "debug") {
    config->log_level = LogSeverity::kDebug;
  } else if (level == "warning") {
    config->log_level = LogSeverity::kWarning;
  } else if (level == "error") {
    config->log_level = LogSeverity::kError;
  } else if (!level.empty() && level != "info") {
    reader.Fail("MINIBOX_LOG", "must be debug, info, warning or error");
  }
  bool debug = false;
  reader.Flag("MINIBOX_DEBUG", &debug);
  if (debug) config->log_level = LogSeverity::kDebug;
}

// What a later version will use: its form is checked now, so that a mistake shows.
void CheckUnused(Reader& reader, const ServerFeatures& features) {
  bool ignored = false;
  for (const char* name : {"MINIBOX_INDEX_ON_STARTUP", "MINIBOX_INDEX_LAYERS"}) {
    reader.Flag(name, &ignored);
  }
  reader.Refuse("MINIBOX_SOCKET", features.unix_socket
                                      ? kNotSupported
                                      : "the HTTP server of this build has no Unix sockets");
  for (const char* name : {"MINIBOX_TLS_CERT", "MINIBOX_TLS_KEY"}) {
    reader.Refuse(name, features.tls ? kNotSupported : "the HTTP server of this build has no TLS");
  }
  const std::string key = reader.Get("MINIBOX_ENCRYPTION_KEY");
  if (!key.empty()) {
    const bool well_formed = key.size() == kKeyDigits &&
                             key.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
    reader.Fail("MINIBOX_ENCRYPTION_KEY", well_formed ? kNotSupported : "must be 64 hex digits");
  }
}

}  // namespace

std::optional<std::string> ProcessEnvironment(std::string_view name) {
  const char* value = getenv(std::string(name).c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

StatusOr<Config> ReadConfig(const Environment& environment, const ServerFeatures& features) {
  Reader reader(environment);
  Config config;
  reader.AbsolutePath("MINIBOX_DATA_ROOT", &config.data_root);
  while (config.data_root.size() > 1 && config.data_root.ends_with('/')) {
    config.data_root.pop_back();
  }
  config.run_dir =
      config.data_root == kDefaultDataRoot ? "/run/minibox" : StrCat(config.data_root, "/run");
  reader.AbsolutePath("MINIBOX_RUN_DIR", &config.run_dir);
  config.api_token = reader.Get("MINIBOX_API_TOKEN");
  ReadAddress(reader, features, &config);
  config.allowed_hosts = reader.List("MINIBOX_ALLOWED_HOSTS");
  reader.Number("MINIBOX_MAX_CONNECTIONS", 1, kMaxConnections, &config.max_connections);
  config.build_prefixes = reader.AbsolutePaths("MINIBOX_BUILD_PREFIXES");
  if (config.build_prefixes.empty()) {
    config.build_prefixes.assign(std::begin(kDefaultBuildPrefixes),
                                 std::end(kDefaultBuildPrefixes));
  }
  config.bind_prefixes = reader.AbsolutePaths("MINIBOX_BIND_PREFIXES");
  reader.Number("MINIBOX_SUBUID_BASE", 1, kMaxId, &config.subid_base);
  reader.Number("MINIBOX_SUBUID_COUNT", 1, kMaxId, &config.subid_count);
  if (const std::string subnet = reader.Get("MINIBOX_SUBNET"); !subnet.empty()) {
    if (!IsSubnet(subnet)) reader.Fail("MINIBOX_SUBNET", "must be <IPv4 address>/<8 to 30>");
    config.subnet = subnet;
  }
  if (std::vector<std::string> pool = reader.List("MINIBOX_SUBNET_POOL"); !pool.empty()) {
    for (const std::string& subnet : pool) {
      if (!IsSubnet(subnet)) {
        reader.Fail("MINIBOX_SUBNET_POOL", StrCat("'", subnet, "' is no subnet"));
      }
    }
    config.subnet_pool = std::move(pool);
  }
  reader.Flag("MINIBOX_IPV6", &config.ipv6);
  if (config.ipv6 && access("/proc/sys/net/ipv6", F_OK) != 0) {
    reader.Fail("MINIBOX_IPV6", "this kernel has no IPv6");
  }
  reader.Flag("MINIBOX_BRIDGE_ON_STARTUP", &config.bridge_on_startup);
  reader.Number("MINIBOX_BUILD_WORKERS", 1, kMaxWorkers, &config.build_workers);
  ReadLog(reader, &config);
  CheckUnused(reader, features);
  auto registry = ReadRegistryConfig(environment);
  if (registry.ok()) {
    config.registry = std::move(*registry);
  } else {
    reader.Fail(registry.status());
  }
  if (!reader.status().ok()) return reader.status();
  return config;
}

}  // namespace miniboxd
