// SPDX-License-Identifier: Apache-2.0
// `db run` and `db shell` with the real programs.
#include <gmock/gmock.h>

#include "tools/observe_fixture.h"

namespace minibox::testing {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class DatabaseCommandsTest : public ObserveTest {
 protected:
  void SetUp() override {
    ObserveTest::SetUp();
    if (IsSkipped()) return;
    // A client that tells how it was called, outside the usual PATH of these containers.
    WriteBusyboxContext(scratch_, "client",
                        "BASE base.tar.gz\n"
                        "BLOCK app\n"
                        "  RUN mkdir -p /usr/local/bin && printf '#!/bin/sh\\necho \"$0 $*\"\\n"
                        "echo \"password $MYSQL_PWD\"\\ncat\\n' >/usr/local/bin/mysql && "
                        "chmod 755 /usr/local/bin/mysql\n"
                        "  ENV PATH=/bin\n"
                        "  VOLUME /var/lib/mysql\n");
    const Finished built =
        Cli({"build", "--network", "none", "-t", "mysql:8.0", scratch_ / "client"});
    ASSERT_EQ(built.status, 0) << built.out << built.err;
  }
  Finished Cli(std::vector<std::string> arguments, const std::string& input = "/dev/null") {
    return daemon_->Cli(std::move(arguments), {}, input);
  }
  // The id of a container that `db run` has started.
  std::string Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"db", "run", "--network", "none"});
    const Finished run = Cli(arguments);
    EXPECT_EQ(run.status, 0) << run.err;
    const std::string id = run.out.substr(0, 8);
    EXPECT_EQ(run.out, id + "\n");
    EXPECT_THAT(run.err, EndsWith("OK  Container started (detached): " + id + "\n"));
    return id;
  }
};

TEST_F(DatabaseCommandsTest, RunGivesADatabaseWhatItNeeds) {
  const std::string id =
      Run({"--name", "shop", "--cmd", "echo $HOME >/var/lib/mysql/home; cat", "-e", "HOME=/nowhere",
           "--shm-size", "300m", "-i", "-d", "mysql:8.0"});
  const std::string inspect = Ask("GET", "/containers/inspect?id=shop").body;
  EXPECT_THAT(inspect, HasSubstr(R"("db_mode":true)"));
  EXPECT_THAT(inspect, HasSubstr(R"("shm_size":300)"));
  EXPECT_THAT(inspect, HasSubstr(R"("name":"shop-data","target":"/var/lib/mysql")"));
  EXPECT_THAT(inspect, HasSubstr("echo $HOME"));
  // A second one has the name already, a container of it not.
  EXPECT_EQ(Cli({"db", "run", "--network", "none", "--name", "shop", "mysql:8.0", "true"}).status,
            125);
  Remove(id);

  // What was written stays for the next; --rm leaves it alone.
  const Finished next = Cli({"db", "run", "--network", "none", "--name", "shop", "--rm", "-i",
                             "--data", "/data", "mysql:8.0", "cat", "/data/home"});
  EXPECT_EQ(next.status, 0) << next.err;
  EXPECT_EQ(next.out, "/nowhere\n");
  EXPECT_THAT(Cli({"volume", "ls", "-q"}).out, HasSubstr("shop-data\n"));
}

TEST_F(DatabaseCommandsTest, NamesOfVolumesComeFromTheImage) {
  const std::string first = Run({"mysql:8.0", "sleep", "1000"});
  EXPECT_THAT(Ask("GET", "/containers/inspect?id=" + first).body,
              HasSubstr(R"("name":"mysql-8-0-data","target":"/var/lib/mysql")"));
  // This one declares no volume.
  const std::string second = Run({"shell", "sleep", "1000"});
  EXPECT_THAT(Ask("GET", "/containers/inspect?id=" + second).body,
              HasSubstr(R"("name":"shell-data","target":"/var/lib/minibox-data")"));
  // Who mounts something there has decided.
  const std::string third = Run({"-v", "mine:/var/lib/mysql", "mysql:8.0", "sleep", "1000"});
  EXPECT_THAT(Ask("GET", "/containers/inspect?id=" + third).body,
              AllOf(HasSubstr(R"("name":"mine")"), Not(HasSubstr("mysql-8-0-data"))));
  for (const std::string& id : {first, second, third}) Remove(id);
}

TEST_F(DatabaseCommandsTest, WrongUsage) {
  EXPECT_EQ(Cli({"db", "run", "--shm-size", "0", "shell"}).status, 2);
  EXPECT_EQ(Cli({"db", "run"}).status, 2);
  EXPECT_EQ(Cli({"db"}).status, 2);
  EXPECT_EQ(Cli({"db", "shel"}).status, 2);
  EXPECT_EQ(Cli({"db", "shell"}).status, 2);
  EXPECT_EQ(Cli({"db", "run", "--pull", "never", "nosuch"}).status, 125);
  EXPECT_EQ(Cli({"db", "run", "--data", "relative", "shell", "true"}).status, 125);
  EXPECT_EQ(Cli({"db", "shell", "nosuch"}).status, 125);
  for (const char* command : {"run", "shell", "console"}) {
    const Finished help = Cli({"db", command, "--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_THAT(help.out, HasSubstr("Example:\n  minibox db ")) << command;
  }
  EXPECT_THAT(Cli({"help", "db", "run"}).out, HasSubstr("IMAGE [COMMAND...]"));
  // Both a command and --cmd: the command.
  const Finished both = Cli(
      {"db", "run", "--network", "none", "--rm", "-i", "--cmd", "echo no", "shell", "echo", "yes"});
  EXPECT_EQ(both.out, "yes\n");
  EXPECT_THAT(both.err, HasSubstr("!!  --cmd is ignored"));
}

TEST_F(DatabaseCommandsTest, ShellOpensTheClientOfTheDatabase) {
  const std::string id =
      Run({"--name", "shop", "-e", "MYSQL_ROOT_PASSWORD=s3cret", "mysql:8.0", "sleep", "1000"});
  const std::string input = scratch_.Write("input", "select 1;\n");
  for (const char* command : {"shell", "console"}) {
    const Finished shell = Cli({"db", command, "shop"}, input);
    EXPECT_EQ(shell.status, 0) << shell.err;
    EXPECT_EQ(shell.out, "/usr/local/bin/mysql -u root\npassword s3cret\nselect 1;\n");
  }
  EXPECT_EQ(Cli({"db", "shell", id.substr(0, 6)}, input).status, 0);
  EXPECT_EQ(Cli({"stop", "-t", "0", "shop"}).status, 0);
  EXPECT_EQ(Cli({"db", "shell", "shop"}).status, 125);
  Remove(id);

  // No client for it, and no database at all.
  EXPECT_EQ(Cli({"tag", "shell", "redis:7"}).status, 0);
  const std::string redis = Run({"redis:7", "sleep", "1000"});
  const Finished none = Cli({"db", "shell", redis});
  EXPECT_EQ(none.status, 127);
  EXPECT_THAT(none.err, StartsWith("[error] container " + redis + " has no redis-cli"));
  Remove(redis);
  const std::string shell = Run({"shell", "sleep", "1000"});
  const Finished exit = Cli({"db", "shell", shell}, scratch_.Write("input", "echo hi; exit 7\n"));
  EXPECT_EQ(exit.status, 7);
  EXPECT_EQ(exit.out, "hi\n");
  Remove(shell);
}

}  // namespace
}  // namespace minibox::testing
