// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <sstream>

namespace minibox::testing {
namespace {

constexpr int kPatienceMs = 60000;

std::vector<std::string> Environment(const Variables& variables) {
  Variables all = {{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}, {"HOME", "/root"}};
  for (const auto& [name, value] : variables) all[name] = value;
  std::vector<std::string> lines;
  for (const auto& [name, value] : all) lines.push_back(name + "=" + value);
  return lines;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

pid_t Spawn(std::vector<std::string> argv, const Variables& variables, const std::string& in,
            int out, int err) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, in.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  if (err >= 0) posix_spawn_file_actions_adddup2(&actions, err, 2);
  std::vector<std::string> environment = Environment(variables);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, argv[0].c_str(), &actions, nullptr, Pointers(argv).data(),
                                Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  EXPECT_EQ(error, 0) << argv[0] << ": " << strerror(error);
  return error == 0 ? pid : -1;
}

int StatusOf(pid_t pid) {
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// False at the end of the file, or if nothing came for a minute.
bool ReadMore(int fd, std::string* text) {
  pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
  if (poll(&ready, 1, kPatienceMs) <= 0) return false;
  char bytes[4096];
  const ssize_t count = read(fd, bytes, sizeof bytes);
  if (count > 0) text->append(bytes, static_cast<size_t>(count));
  return count > 0;
}

}  // namespace

Finished RunProgram(const std::vector<std::string>& argv, const Variables& variables,
                    const std::string& stdin_path) {
  // Files instead of pipes: neither stream can hold up the other.
  const Scratch scratch;
  const int out = open((scratch / "out").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const int err = open((scratch / "err").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  Finished finished;
  finished.status = StatusOf(Spawn(argv, variables, stdin_path, out, err));
  close(out);
  close(err);
  finished.out = ReadWholeFile(scratch / "out");
  finished.err = ReadWholeFile(scratch / "err");
  return finished;
}

Finished Miniboxd(const std::vector<std::string>& arguments, const Variables& variables) {
  std::vector<std::string> argv = {MINIBOXD_PATH};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return RunProgram(argv, variables);
}

Daemon::Daemon(const Scratch& scratch, const Variables& more) {
  Variables variables = {{"MINIBOX_DATA_ROOT", scratch / "data"},
                         {"MINIBOX_HTTP_ADDR", "127.0.0.1:0"},
                         {"MINIBOX_BUILD_PREFIXES", scratch.path()},
                         {"MINIBOX_BRIDGE_ON_STARTUP", "0"},
                         {"MINIBOX_LOG", "warning"}};
  for (const auto& [name, value] : more) variables[name] = value;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) abort();
  out_ = ends[0];
  pid_ = Spawn({MINIBOXD_PATH}, variables, "/dev/null", ends[1], -1);
  close(ends[1]);
  constexpr std::string_view kLine = "Daemon listening on 127.0.0.1:";
  while (output_.find('\n') == std::string::npos) {
    if (!ReadMore(out_, &output_)) {
      ADD_FAILURE() << "miniboxd did not start: " << output_;
      return;
    }
  }
  EXPECT_TRUE(output_.starts_with(kLine)) << output_;
  port_ = atoi(output_.c_str() + kLine.size());
}

Daemon::~Daemon() {
  if (pid_ > 0) {
    // Containers outlive their daemon: what a failed test left would run on.
    std::istringstream ids(Cli({"ps", "-q"}).out);
    for (std::string id; std::getline(ids, id);) (void)Cli({"rm", "-f", id});
    End(SIGTERM);
  }
  if (out_ >= 0) close(out_);
}

int Daemon::End(int signal) {
  kill(pid_, signal);
  while (ReadMore(out_, &output_)) {
  }
  const int status = StatusOf(pid_);
  pid_ = -1;
  return status;
}

Finished Daemon::Cli(std::vector<std::string> arguments, const Variables& more,
                     const std::string& stdin_path) const {
  arguments.insert(arguments.begin(), MINIBOX_PATH);
  Variables variables = {{"MINIBOX_API", "http://127.0.0.1:" + std::to_string(port_)}};
  for (const auto& [name, value] : more) variables[name] = value;
  return RunProgram(arguments, variables, stdin_path);
}

void EnterOwnNetwork() {
  static const bool entered = [] {
    if (unshare(CLONE_NEWNET) != 0) return false;
    const int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    const bool up = ioctl(any, SIOCSIFFLAGS, &request) == 0;
    close(any);
    return up;
  }();
  ASSERT_TRUE(entered) << "cannot make a network namespace: " << strerror(errno);
}

void WriteBusyboxContext(const Scratch& scratch, const std::string& name,
                         const std::string& minibox_file) {
  namespace fs = std::filesystem;
  const fs::path root = scratch / (name + "-root"), context = scratch / name;
  for (const char* directory : {"bin", "etc", "tmp", "root"}) {
    fs::create_directories(root / directory);
  }
  fs::create_directories(context);
  fs::copy_file("/bin/busybox", root / "bin/busybox");
  for (const char* applet : {"sh", "cat", "echo", "sleep", "true", "false", "kill", "id", "seq",
                             "ls", "touch", "ps", "setsid", "grep", "wc", "stty", "tty"}) {
    fs::create_symlink("busybox", root / "bin" / applet);
  }
  scratch.Write(name + "-root/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
  const Finished tar = RunProgram({"/bin/tar", "-C", root, "-czf", context / "base.tar.gz", "."});
  ASSERT_EQ(tar.status, 0) << tar.err;
  fs::remove_all(root);
  scratch.Write(name + "/MiniBox", minibox_file);
}

}  // namespace minibox::testing
