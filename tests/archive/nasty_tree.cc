// SPDX-License-Identifier: Apache-2.0
#include "archive/nasty_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <vector>

namespace minibox::testing {

namespace fs = std::filesystem;

void MakeNastyTree(const std::string& top) {
  const auto at = [&](const std::string& name) { return top + "/" + name; };
  const auto write = [&](const std::string& name, const std::string& content) {
    std::ofstream(at(name), std::ios::binary) << content;
  };
  const auto set_time = [&](const std::string& name, time_t seconds, long nanoseconds) {
    const struct timespec times[2] = {{0, UTIME_OMIT}, {seconds, nanoseconds}};
    ASSERT_EQ(utimensat(AT_FDCWD, at(name).c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << name;
  };
  const std::string long_name(200, 'n');
  fs::create_directories(at("a/b/c"));
  for (const std::string& name : std::vector<std::string>{"with space", "empty", "a-b", "a0",
                                                          std::string(200, 'n').append(".d")}) {
    fs::create_directory(at(name));
  }
  write("a/one", "one\n");
  write("a/b/two", std::string(511, 't'));
  write("a/b/three", std::string(513, '3'));
  write("random", std::string(3'000'000, '\x5a'));
  write(long_name, "");
  write(long_name + ".d/" + long_name, "deep");
  write("new\nline", "x");
  write("e\xcc\x81", "decomposed");
  write("\xff\xfe", "no UTF-8");
  write("before-the-epoch", "");
  write("with space/late", "");
  write("big-owner", "");
  fs::create_hard_link(at("a/one"), at("a/b/hard"));
  fs::create_hard_link(at("a/one"), at("A-first"));
  fs::create_symlink("../one", at("a/b/soft"));
  fs::create_symlink("/etc/passwd", at("absolute"));
  fs::create_symlink(std::string(300, 't'), at("long-target"));
  fs::create_hard_link(at("absolute"), at("link-to-link"));
  ASSERT_EQ(mkfifo(at("pipe").c_str(), 0640), 0);
  ASSERT_EQ(mknod(at("null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  ASSERT_EQ(mknod(at("disk").c_str(), S_IFBLK | 0600, makedev(259, 70'000)), 0);
  {
    std::ofstream sparse(at("sparse"), std::ios::binary);
    sparse.seekp(10 << 20) << "end";
    sparse.seekp(1 << 20) << "middle";
  }
  ASSERT_EQ(lchown(at("a/b/two").c_str(), 1000, 2000), 0);
  ASSERT_EQ(lchown(at("absolute").c_str(), 12, 34), 0);
  ASSERT_EQ(lchown(at("big-owner").c_str(), 4294967294, 3000000), 0);
  ASSERT_EQ(chmod(at("a/one").c_str(), 04755), 0);
  ASSERT_EQ(chmod(at("a/b/three").c_str(), 0), 0);
  ASSERT_EQ(chmod(at("empty").c_str(), 01777), 0);
  ASSERT_EQ(setxattr(at("a/one").c_str(), "user.comment", "hello\0x", 7, 0), 0);
  ASSERT_EQ(setxattr(at("a").c_str(), "user.on-a-directory", "", 0, 0), 0);
  const std::string capability("\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  ASSERT_EQ(setxattr(at("a/b/two").c_str(), "security.capability", capability.data(),
                     capability.size(), 0),
            0);
  set_time("a/b/two", 981'173'106, 123'456'789);
  set_time("a/b/soft", 915'148'800, 1);
  set_time("before-the-epoch", -315'619'200, 500'000'000);
  set_time("with space/late", 9'000'000'000, 0);
  for (const std::string name : {"a/b/c", "a/b", "a", "empty"}) set_time(name, 1'262'304'000, 7);
}

void RunShell(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "re");
  ASSERT_NE(pipe, nullptr);
  std::string output;
  char buffer[4096];
  for (size_t count; (count = fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
    output.append(buffer, count);
  }
  ASSERT_EQ(pclose(pipe), 0) << command << "\n" << output;
}

}  // namespace minibox::testing
