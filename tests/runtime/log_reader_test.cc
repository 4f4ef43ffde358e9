// SPDX-License-Identifier: Apache-2.0
#include "runtime/log_reader.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support/scratch.h"

namespace minibox::runtime {
namespace {

using Until = LogReader::Until;

// Writes as the monitor does: bytes, then their record; rotates both files together.
class Writer {
 public:
  explicit Writer(const minibox::testing::Scratch& scratch) : dir_(scratch.path()) {}

  void Bytes(std::string_view bytes) {
    std::ofstream(dir_ + "/container.log", std::ios::app | std::ios::binary) << bytes;
  }
  void Record(std::string_view bytes, init::LogStream stream) {
    init::LogIndexRecord record = {};
    record.offset = std::filesystem::file_size(dir_ + "/container.log") - bytes.size();
    record.length = static_cast<uint32_t>(bytes.size());
    record.stream = static_cast<uint8_t>(stream);
    std::ofstream(dir_ + "/container.log.idx", std::ios::app | std::ios::binary)
        .write(reinterpret_cast<const char*>(&record), sizeof record);
  }
  void Out(std::string_view bytes) {
    Bytes(bytes);
    Record(bytes, init::LogStream::kStdout);
  }
  void Err(std::string_view bytes) {
    Bytes(bytes);
    Record(bytes, init::LogStream::kStderr);
  }
  void Rotate(int keep = 3) {
    for (int i = keep - 2; i >= 0; --i) {
      const std::string from = dir_ + "/container.log" + (i == 0 ? "" : "." + std::to_string(i));
      const std::string to = dir_ + "/container.log." + std::to_string(i + 1);
      rename(from.c_str(), to.c_str());
      rename((from + ".idx").c_str(), (to + ".idx").c_str());
    }
  }

 private:
  std::string dir_;
};

class LogReaderTest : public ::testing::Test {
 protected:
  LogReader Open(std::optional<size_t> tail = std::nullopt) {
    auto reader = LogReader::Open(dir_, tail);
    EXPECT_TRUE(reader.ok()) << reader.status().ToString();
    return std::move(*reader);
  }
  // "o:text|e:text|": one piece per change of stream.
  std::string Drain(LogReader& reader, Until until) {
    std::string text;
    char last = 0;
    const Status status = reader.Drain(until,
                                       [&](const OutputChunk& chunk) {
                                         const char stream =
                                             chunk.stream == Stream::kStdout ? 'o' : 'e';
                                         if (stream != last) {
                                           if (last != 0) text += "|";
                                           text += stream;
                                           text += ":";
                                           last = stream;
                                         }
                                         text += chunk.bytes;
                                         return Status();
                                       },
                                       {});
    EXPECT_TRUE(status.ok()) << status.ToString();
    return text;
  }
  std::string All(std::optional<size_t> tail = std::nullopt) {
    LogReader reader = Open(tail);
    return Drain(reader, Until::kOpened);
  }

  minibox::testing::Scratch scratch_;
  core::RootDir dir_ = std::move(*core::RootDir::Open(scratch_.path()));
  Writer writer_{scratch_};
};

TEST_F(LogReaderTest, MissingLogIsEmpty) { EXPECT_EQ(All(), ""); }

TEST_F(LogReaderTest, StreamsComeFromTheIndex) {
  writer_.Out("a\n");
  writer_.Out("b\n");
  writer_.Err("c\n");
  writer_.Out("d");
  EXPECT_EQ(All(), "o:a\nb\n|e:c\n|o:d");
}

TEST_F(LogReaderTest, BytesWithoutRecordAreDeliveredInASnapshot) {
  writer_.Err("a\n");
  writer_.Bytes("lost record\n");
  writer_.Err("b\n");
  writer_.Bytes("tail");
  EXPECT_EQ(All(), "e:a\n|o:lost record\n|e:b\n|o:tail");
}

TEST_F(LogReaderTest, LogWithoutIndexIsStdout) {
  writer_.Bytes("old\n");
  LogReader reader = Open();
  EXPECT_EQ(Drain(reader, Until::kRecorded), "o:old\n");
}

TEST_F(LogReaderTest, RotatedFilesComeFirst) {
  writer_.Out("1\n");
  writer_.Rotate();
  writer_.Err("2\n");
  writer_.Rotate();
  writer_.Out("3\n");
  EXPECT_EQ(All(), "o:1\n|e:2\n|o:3\n");
}

TEST_F(LogReaderTest, TailCountsLinesAcrossFiles) {
  writer_.Out("1\n2\n");
  writer_.Rotate();
  writer_.Out("3\n");
  writer_.Err("4\n5");
  EXPECT_EQ(All(0), "");
  EXPECT_EQ(All(1), "e:5");
  EXPECT_EQ(All(2), "e:4\n5");
  EXPECT_EQ(All(4), "o:2\n3\n|e:4\n5");
  EXPECT_EQ(All(99), "o:1\n2\n3\n|e:4\n5");
}

TEST_F(LogReaderTest, TailIgnoresTheNewlineAtTheEnd) {
  writer_.Out("1\n2\n");
  EXPECT_EQ(All(1), "o:2\n");
  EXPECT_EQ(All(2), "o:1\n2\n");
}

TEST_F(LogReaderTest, TailFindsItsPlaceInALongIndex) {
  for (int i = 0; i < 3000; ++i) {
    i % 2 == 0 ? writer_.Out("line\n") : writer_.Err("line\n");
  }
  EXPECT_EQ(All(3), "e:line\n|o:line\n|e:line\n");
}

TEST_F(LogReaderTest, FollowingWaitsForTheRecord) {
  writer_.Out("a");
  LogReader reader = Open();
  EXPECT_EQ(Drain(reader, Until::kRecorded), "o:a");
  writer_.Bytes("b");
  EXPECT_EQ(Drain(reader, Until::kRecorded), "");
  writer_.Record("b", init::LogStream::kStderr);
  EXPECT_EQ(Drain(reader, Until::kRecorded), "e:b");
  writer_.Bytes("c");
  EXPECT_EQ(Drain(reader, Until::kEnd), "o:c");
}

TEST_F(LogReaderTest, FollowingBeginsBeforeTheLogDoes) {
  LogReader reader = Open();
  EXPECT_EQ(Drain(reader, Until::kRecorded), "");
  writer_.Out("a");
  EXPECT_EQ(Drain(reader, Until::kRecorded), "o:a");
}

TEST_F(LogReaderTest, FollowingFindsAnIndexThatCameLater) {
  writer_.Bytes("");
  LogReader reader = Open();
  EXPECT_EQ(Drain(reader, Until::kRecorded), "");
  writer_.Err("a");
  EXPECT_EQ(Drain(reader, Until::kRecorded), "e:a");
}

TEST_F(LogReaderTest, FollowingLosesNothingAcrossRotations) {
  writer_.Out("1");
  LogReader reader = Open();
  EXPECT_EQ(Drain(reader, Until::kRecorded), "o:1");
  writer_.Out("2");
  writer_.Rotate();
  writer_.Err("3");
  writer_.Rotate();
  writer_.Out("4");
  EXPECT_EQ(Drain(reader, Until::kRecorded), "o:2|e:3|o:4");
  // Between renaming the old log and making the new one.
  writer_.Out("5");
  writer_.Rotate();
  EXPECT_EQ(Drain(reader, Until::kRecorded), "o:5");
  writer_.Out("6");
  EXPECT_EQ(Drain(reader, Until::kRecorded), "o:6");
}

TEST_F(LogReaderTest, FollowingGoesOnWithTheOldestThatIsLeft) {
  writer_.Out("1");
  LogReader reader = Open();
  EXPECT_EQ(Drain(reader, Until::kRecorded), "o:1");
  for (const char* text : {"2", "3", "4", "5"}) {
    writer_.Rotate();
    writer_.Out(text);
  }
  EXPECT_EQ(Drain(reader, Until::kRecorded), "o:345");
}

TEST_F(LogReaderTest, ErrorOfTheSinkEndsTheStream) {
  writer_.Out("a");
  LogReader reader = Open();
  const Status full(StatusCode::kResourceExhausted, "full");
  const Status status = reader.Drain(Until::kOpened, [&](const OutputChunk&) { return full; }, {});
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  // What was refused has not been delivered.
  EXPECT_EQ(Drain(reader, Until::kOpened), "o:a");
}

TEST_F(LogReaderTest, StopEndsASnapshot) {
  writer_.Out("a");
  LogReader reader = Open();
  std::stop_source stop;
  stop.request_stop();
  const Status status = reader.Drain(
      Until::kOpened, [](const OutputChunk&) { return Status(); }, stop.get_token());
  EXPECT_EQ(status.code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace minibox::runtime
