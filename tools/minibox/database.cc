// SPDX-License-Identifier: Apache-2.0
#include "database.h"

#include <algorithm>
#include <optional>

#include "wire/json.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::StrCat;

constexpr size_t kMaxVolumeName = 64;
constexpr std::string_view kVolumeSuffix = "-data";

// "redis:7.2" of a reference.
std::string_view LastComponent(std::string_view image) {
  image = image.substr(0, image.find('@'));
  return image.substr(image.rfind('/') + 1);  // all of it if there is no '/'
}

std::optional<std::string> Find(const std::vector<std::string>& env, std::string_view key) {
  for (const std::string& variable : env) {
    if (variable.size() > key.size() && variable.starts_with(key) && variable[key.size()] == '=') {
      return variable.substr(key.size() + 1);
    }
  }
  return std::nullopt;
}

std::vector<DatabaseClient> MongoClients(const std::vector<std::string>& env) {
  constexpr std::string_view kUser = "MONGO_INITDB_ROOT_USERNAME",
                             kPassword = "MONGO_INITDB_ROOT_PASSWORD";
  const auto user = Find(env, kUser);
  const bool authenticate = user && Find(env, kPassword);
  // Both take a password in argv only, so a script fetches it from where it is already.
  const auto log_in = [&](const std::string& password) {
    if (!authenticate) return std::vector<std::string>();
    wire::JsonWriter name;
    name.String(*user);
    return std::vector<std::string>{
        "--shell", "--eval",
        StrCat("db.getSiblingDB('admin').auth(", name.Take(), ", ", password, ")")};
  };
  // The older one knows its environment since version 5 only.
  return {{"mongosh", log_in(StrCat("process.env.", kPassword)), {}},
          {"mongo",
           log_in(StrCat("typeof _getEnv == 'function' ? _getEnv('", kPassword,
                         "') : passwordPrompt()")),
           {}}};
}

std::vector<DatabaseClient> MysqlClients(std::vector<std::string> programs,
                                         const std::vector<std::string>& env) {
  auto password = Find(env, "MYSQL_ROOT_PASSWORD");
  if (!password) password = Find(env, "MARIADB_ROOT_PASSWORD");
  std::vector<DatabaseClient> clients;
  for (std::string& program : programs) {
    DatabaseClient& client = clients.emplace_back();
    client.program = std::move(program);
    client.arguments = {"-u", "root"};
    if (password) client.env = {"MYSQL_PWD=" + *password};
  }
  return clients;
}

}  // namespace

std::string DatabaseName(std::string_view image) {
  std::string name(LastComponent(image));
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == ':' || c == '.'; }, '-');
  name.resize(std::min(name.size(), kMaxVolumeName - kVolumeSuffix.size()));
  return name;
}

std::vector<DatabaseClient> DatabaseClients(std::string_view image,
                                            const std::vector<std::string>& env) {
  const std::string_view component = LastComponent(image);
  // "my-redis" is one too; a tag says nothing.
  const std::string name = wire::AsciiLower(component.substr(0, component.find(':')));
  const auto is = [&](std::string_view database) {
    return name.find(database) != std::string::npos;
  };
  if (is("redis") || is("valkey")) return {{"redis-cli", {}, {}}};
  if (is("postgres")) {
    return {{"psql", {"-U", Find(env, "POSTGRES_USER").value_or("postgres")}, {}}};
  }
  if (is("mongo")) return MongoClients(env);
  if (is("mysql")) return MysqlClients({"mysql", "mariadb"}, env);
  if (is("mariadb")) return MysqlClients({"mariadb", "mysql"}, env);
  return {{"/bin/sh", {}, {}}};
}

std::vector<std::string> ProgramPaths(const DatabaseClient& client) {
  if (client.program.starts_with('/')) return {client.program};
  return {client.program, "/usr/local/bin/" + client.program, "/usr/bin/" + client.program};
}

}  // namespace minibox::cli
