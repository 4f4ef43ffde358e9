// SPDX-License-Identifier: Apache-2.0
#include "database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace minibox::cli {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Strings = std::vector<std::string>;

TEST(DatabaseName, IsTheLastComponentOfTheImage) {
  EXPECT_EQ(DatabaseName("redis"), "redis");
  EXPECT_EQ(DatabaseName("postgres:15.2-alpine"), "postgres-15-2-alpine");
  EXPECT_EQ(DatabaseName("registry.test:5000/team/my.redis:7"), "my-redis-7");
  EXPECT_EQ(DatabaseName("redis:7@sha256:" + std::string(64, 'a')), "redis-7");
  // The volume of an image that is named by its digest still has a valid name.
  EXPECT_EQ((DatabaseName("sha256:" + std::string(64, 'a')) + "-data").size(), 64u);
}

Strings Programs(std::string_view image) {
  Strings programs;
  for (const DatabaseClient& client : DatabaseClients(image, {})) {
    programs.push_back(client.program);
  }
  return programs;
}

TEST(DatabaseClients, FollowTheNameOfTheImage) {
  EXPECT_THAT(Programs("redis:7-alpine"), ElementsAre("redis-cli"));
  EXPECT_THAT(Programs("docker.io/valkey/valkey"), ElementsAre("redis-cli"));
  EXPECT_THAT(Programs("team/My-Postgres:15"), ElementsAre("psql"));
  EXPECT_THAT(Programs("mongo:7"), ElementsAre("mongosh", "mongo"));
  EXPECT_THAT(Programs("mysql"), ElementsAre("mysql", "mariadb"));
  EXPECT_THAT(Programs("mariadb:11@sha256:" + std::string(64, '0')),
              ElementsAre("mariadb", "mysql"));
  EXPECT_THAT(Programs("debian"), ElementsAre("/bin/sh"));
  // Neither the registry, nor what is above it, nor the tag is the image.
  EXPECT_THAT(Programs("redis.test/mysql-tools/base:postgres"), ElementsAre("/bin/sh"));
}

TEST(DatabaseClients, TakeUserAndPasswordFromTheEnvironment) {
  const auto psql = [](const Strings& env) {
    return DatabaseClients("postgres", env)[0].arguments;
  };
  EXPECT_THAT(psql({}), ElementsAre("-U", "postgres"));
  EXPECT_THAT(psql({"POSTGRES_USERS=no", "POSTGRES_USER=shop"}), ElementsAre("-U", "shop"));

  const Strings passwords = {"MYSQL_ROOT_PASSWORD=s3cret", "MARIADB_ROOT_PASSWORD=0ther",
                             "MONGO_INITDB_ROOT_USERNAME=o'hara\"",
                             "MONGO_INITDB_ROOT_PASSWORD=s3cret"};
  for (const DatabaseClient& client : DatabaseClients("mysql", passwords)) {
    EXPECT_THAT(client.env, ElementsAre("MYSQL_PWD=s3cret"));
  }
  EXPECT_THAT(DatabaseClients("mariadb", {"MARIADB_ROOT_PASSWORD=0ther"})[0].env,
              ElementsAre("MYSQL_PWD=0ther"));
  EXPECT_THAT(DatabaseClients("mysql", {})[0].env, IsEmpty());
  for (const char* image : {"redis", "postgres", "mongo", "mysql", "mariadb"}) {
    for (const DatabaseClient& client : DatabaseClients(image, passwords)) {
      EXPECT_THAT(client.arguments, Each(Not(HasSubstr("s3cret")))) << image;
    }
  }
  for (const DatabaseClient& client : DatabaseClients("mongo", passwords)) {
    EXPECT_THAT(client.arguments, Contains(HasSubstr(R"(auth("o'hara\"", )"))) << client.program;
  }
  EXPECT_THAT(DatabaseClients("mongo", {"MONGO_INITDB_ROOT_USERNAME=root"})[0].arguments,
              IsEmpty());
}

TEST(DatabaseClients, AreSearchedWhereTheyUsuallyAre) {
  EXPECT_THAT(ProgramPaths({"psql", {}, {}}),
              ElementsAre("psql", "/usr/local/bin/psql", "/usr/bin/psql"));
  EXPECT_THAT(ProgramPaths({"/bin/sh", {}, {}}), ElementsAre("/bin/sh"));
}

}  // namespace
}  // namespace minibox::cli
