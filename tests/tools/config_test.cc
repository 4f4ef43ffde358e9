// SPDX-License-Identifier: Apache-2.0
#include "config.h"

#include <gtest/gtest.h>

#include <map>

namespace miniboxd {
namespace {

minibox::StatusOr<Config> Read(std::map<std::string, std::string> variables,
                               ServerFeatures features = {}) {
  return ReadConfig(
      [&](std::string_view name) -> std::optional<std::string> {
        const auto found = variables.find(std::string(name));
        return found == variables.end() ? std::nullopt : std::optional(found->second);
      },
      features);
}

TEST(Config, DefaultsAreThoseOfTheSpecification) {
  const auto config = Read({});
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->data_root, "/var/lib/minibox");
  EXPECT_EQ(config->run_dir, "/run/minibox");
  EXPECT_EQ(config->host, "127.0.0.1");
  EXPECT_EQ(config->port, 8080);
  EXPECT_EQ(config->max_connections, 512);
  EXPECT_EQ(config->build_prefixes.size(), 7u);
  EXPECT_TRUE(config->bind_prefixes.empty());
  EXPECT_EQ(config->subid_base, 100000u);
  EXPECT_EQ(config->subid_count, 65536u);
  EXPECT_EQ(config->subnet, "172.19.0.0/24");
  EXPECT_TRUE(config->bridge_on_startup);
  EXPECT_EQ(config->log_level, minibox::LogSeverity::kInfo);
}

TEST(Config, ValuesAreTrimmedAndRead) {
  const auto config = Read({{"MINIBOX_DATA_ROOT", " /srv/mb/ "},
                            {"MINIBOX_HTTP_ADDR", ":0"},
                            {"MINIBOX_API_TOKEN", " t "},
                            {"MINIBOX_ALLOWED_HOSTS", "a.example, .b.example,,"},
                            {"MINIBOX_MAX_CONNECTIONS", "7"},
                            {"MINIBOX_BUILD_PREFIXES", "/a, /b"},
                            {"MINIBOX_BIND_PREFIXES", "/c"},
                            {"MINIBOX_SUBUID_BASE", "200000"},
                            {"MINIBOX_SUBNET", "10.9.0.0/24"},
                            {"MINIBOX_BRIDGE_ON_STARTUP", "0"},
                            {"MINIBOX_LOG", "error"},
                            {"MINIBOX_BUILD_WORKERS", "3"},
                            {"MINIBOX_IPV6", "0"},
                            {"MINIBOX_INDEX_LAYERS", "0"}});
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(config->data_root, "/srv/mb");
  EXPECT_EQ(config->run_dir, "/srv/mb/run");
  EXPECT_EQ(config->host, "0.0.0.0");
  EXPECT_EQ(config->port, 0);
  EXPECT_EQ(config->api_token, "t");
  EXPECT_EQ(config->allowed_hosts, (std::vector<std::string>{"a.example", ".b.example"}));
  EXPECT_EQ(config->max_connections, 7);
  EXPECT_EQ(config->build_prefixes, (std::vector<std::string>{"/a", "/b"}));
  EXPECT_EQ(config->bind_prefixes, std::vector<std::string>{"/c"});
  EXPECT_EQ(config->subid_base, 200000u);
  EXPECT_EQ(config->subnet, "10.9.0.0/24");
  EXPECT_FALSE(config->ipv6);
  EXPECT_FALSE(config->bridge_on_startup);
  EXPECT_EQ(config->log_level, minibox::LogSeverity::kError);
  EXPECT_EQ(config->build_workers, 3);
  EXPECT_EQ(Read({{"MINIBOX_DEBUG", "1"}})->log_level, minibox::LogSeverity::kDebug);
  EXPECT_EQ(Read({{"MINIBOX_HTTP_ADDR", "localhost:1"}})->host, "127.0.0.1");
  EXPECT_EQ(Read({{"MINIBOX_BUILD_PREFIXES", " , "}})->build_prefixes.size(), 7u);
}

TEST(Config, MalformedValuesStopTheStartNamingTheVariable) {
  const std::pair<const char*, const char*> kBad[] = {
      {"MINIBOX_DATA_ROOT", "var/lib"},
      {"MINIBOX_RUN_DIR", "run"},
      {"MINIBOX_HTTP_ADDR", "8080"},
      {"MINIBOX_HTTP_ADDR", "127.0.0.1:70000"},
      {"MINIBOX_HTTP_ADDR", "127.0.0.1:"},
      {"MINIBOX_HTTP_ADDR", "host.example:80"},
      {"MINIBOX_HTTP_ADDR", "none"},
      {"MINIBOX_HTTP_ADDR", "[::1]:80"},
      {"MINIBOX_INSECURE", "yes"},
      {"MINIBOX_MAX_CONNECTIONS", "0"},
      {"MINIBOX_MAX_CONNECTIONS", "many"},
      {"MINIBOX_BUILD_PREFIXES", "/a,b"},
      {"MINIBOX_BIND_PREFIXES", "b"},
      {"MINIBOX_SUBUID_BASE", "0"},
      {"MINIBOX_SUBUID_COUNT", "-1"},
      {"MINIBOX_SUBNET", "172.19.0.0"},
      {"MINIBOX_SUBNET_POOL", "x"},
      {"MINIBOX_IPV6", "yes"},
      {"MINIBOX_INDEX_ON_STARTUP", "true"},
      {"MINIBOX_INDEX_LAYERS", "2"},
      {"MINIBOX_BRIDGE_ON_STARTUP", "no"},
      {"MINIBOX_LOG", "loud"},
      {"MINIBOX_DEBUG", "x"},
      {"MINIBOX_BUILD_WORKERS", "0"},
      {"MINIBOX_REGISTRY_MIRRORS", "a"},
      {"MINIBOX_REGISTRY_MIRRORS", "docker.io=http://mirror.example"},
      {"MINIBOX_REGISTRY_MIRRORS", "docker.io=ftp://mirror.example"},
      {"MINIBOX_REGISTRY_INSECURE", "a/b"},
      {"MINIBOX_SOCKET", "/run/minibox.sock"},
      {"MINIBOX_TLS_CERT", "/c.pem"},
      {"MINIBOX_TLS_KEY", "/k.pem"},
      {"MINIBOX_ENCRYPTION_KEY", "abc"},
  };
  for (const ServerFeatures& features : {ServerFeatures{}, ServerFeatures{true, true, true}}) {
    for (const auto& [name, value] : kBad) {
      const auto config = Read({{name, value}}, features);
      ASSERT_FALSE(config.ok()) << name << "=" << value;
      EXPECT_EQ(config.status().field(), name);
      EXPECT_TRUE(config.status().message().starts_with(std::string(name) + ": "));
    }
  }
}

TEST(Config, ProtectionIsNeverDropped) {
  const std::string key(64, 'a');
  EXPECT_EQ(Read({{"MINIBOX_ENCRYPTION_KEY", key}}).status().message(),
            "MINIBOX_ENCRYPTION_KEY: not supported by this version");
  EXPECT_FALSE(Read({{"MINIBOX_HTTP_ADDR", "0.0.0.0:80"}}).ok());
  EXPECT_TRUE(Read({{"MINIBOX_HTTP_ADDR", "0.0.0.0:80"}, {"MINIBOX_API_TOKEN", "t"}}).ok());
  EXPECT_TRUE(Read({{"MINIBOX_HTTP_ADDR", "0.0.0.0:80"}, {"MINIBOX_INSECURE", "1"}}).ok());
  EXPECT_FALSE(Read({{"MINIBOX_HTTP_ADDR", "0.0.0.0:80"}, {"MINIBOX_API_TOKEN", "  "}}).ok());
}

}  // namespace
}  // namespace miniboxd
