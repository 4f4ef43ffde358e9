// SPDX-License-Identifier: Apache-2.0
#include "init/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "core/fd.h"

namespace minibox::init {
namespace {

class Channel : public ::testing::Test {
 protected:
  Channel() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    ours_.reset(fds[0]);
    theirs_.reset(fds[1]);
  }
  core::Fd ours_, theirs_;
  std::unique_ptr<Packet> packet_ = std::make_unique<Packet>();
};

TEST_F(Channel, CarriesPayloadAndDescriptors) {
  const core::Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::vector<int> fds(kMaxFdsPerMessage, null.get());
  const std::vector<char> bytes(kMaxPayload - 2, 'x');
  ASSERT_TRUE(SendMessage(ours_.get(), Message::kLaunch, "ab", 2, bytes.data(), bytes.size(),
                          fds.data(), kMaxFdsPerMessage));
  ASSERT_EQ(ReceiveMessage(theirs_.get(), *packet_), Received::kMessage);
  EXPECT_EQ(packet_->type, Message::kLaunch);
  EXPECT_EQ(packet_->size, kMaxPayload);
  EXPECT_EQ(packet_->payload[1], 'b');
  EXPECT_EQ(packet_->payload[kMaxPayload - 1], 'x');
  ASSERT_EQ(packet_->fd_count, kMaxFdsPerMessage);
  struct stat expected, got;
  ASSERT_EQ(fstat(null.get(), &expected), 0);
  ASSERT_EQ(fstat(packet_->fds[kMaxFdsPerMessage - 1], &got), 0);
  EXPECT_EQ(expected.st_rdev, got.st_rdev);
  EXPECT_EQ(fcntl(packet_->fds[0], F_GETFD), FD_CLOEXEC);
  packet_->CloseFds();
}

TEST_F(Channel, RefusesMoreThanAPacketHolds) {
  const std::vector<char> bytes(kMaxPayload + 1);
  EXPECT_FALSE(SendMessage(ours_.get(), Message::kLaunch, bytes.data(), bytes.size()));
  EXPECT_EQ(errno, EMSGSIZE);
}

TEST_F(Channel, TellsNothingFromTheEnd) {
  EXPECT_EQ(ReceiveMessage(theirs_.get(), *packet_, false), Received::kNothing);
  ours_.reset();
  EXPECT_EQ(ReceiveMessage(theirs_.get(), *packet_, false), Received::kEnd);
  EXPECT_FALSE(SendMessage(theirs_.get(), Message::kRelease, nullptr, 0));
  EXPECT_EQ(errno, EPIPE);
}

TEST_F(Channel, DeliversTheLastWordsOfAPeerThatHasNotReadEverything) {
  ASSERT_TRUE(SendMessage(ours_.get(), Message::kMapped, nullptr, 0));
  ASSERT_TRUE(SendMessage(theirs_.get(), Message::kFailed, "why", 3));
  theirs_.reset();
  ASSERT_EQ(ReceiveMessage(ours_.get(), *packet_), Received::kMessage);
  EXPECT_EQ(packet_->type, Message::kFailed);
  EXPECT_EQ(ReceiveMessage(ours_.get(), *packet_), Received::kEnd);
}

TEST_F(Channel, RefusesPacketsOfOthers) {
  for (const size_t size : {size_t{1}, sizeof(MessageHeader) - 1, sizeof(MessageHeader) + 1}) {
    const std::vector<char> junk(size, 1);
    ASSERT_EQ(send(ours_.get(), junk.data(), junk.size(), 0), static_cast<ssize_t>(size));
    EXPECT_EQ(ReceiveMessage(theirs_.get(), *packet_), Received::kError) << size;
    EXPECT_EQ(errno, EPROTO);
  }
}

TEST_F(Channel, DoesNotWaitForRoomIfToldSo) {
  const std::vector<char> bytes(kMaxPayload);
  int sent = 0;
  while (SendMessage(ours_.get(), Message::kLaunch, bytes.data(), bytes.size(), nullptr, 0, nullptr,
                     0, false)) {
    ASSERT_LT(++sent, 10000);
  }
  EXPECT_EQ(errno, EAGAIN);
}

}  // namespace
}  // namespace minibox::init
