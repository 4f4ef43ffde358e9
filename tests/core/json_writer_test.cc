// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>

#include "core/json.h"

namespace minibox::json {
namespace {

TEST(JsonWriter, WritesCompactInCallOrder) {
  Writer w;
  w.BeginObject().Key("b").Int(-1).Key("a").BeginArray().Bool(true).Null().Uint(UINT64_MAX);
  w.BeginObject().EndObject().BeginArray().EndArray().EndArray();
  w.Key("m").StringMap({{"k", "v"}}).Key("l").StringArray({"x", "y"}).Key("r").Raw("[1]");
  w.EndObject();
  EXPECT_EQ(w.Take(),
            R"({"b":-1,"a":[true,null,18446744073709551615,{},[]],"m":{"k":"v"},"l":["x","y"],)"
            R"("r":[1]})");
}

TEST(JsonWriter, Indents) {
  Writer w(2);
  w.BeginObject().Key("a").BeginArray().Int(1).Int(2).EndArray().Key("e").BeginArray().EndArray();
  w.Key("o").BeginObject().Key("k").String("v").EndObject().EndObject();
  EXPECT_EQ(
      w.Take(),
      "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"e\": [],\n  \"o\": {\n    \"k\": \"v\"\n  }\n}");
}

TEST(JsonWriter, EscapesWhatMustBe) {
  Writer w;
  w.String(std::string_view("\"\\/\n\r\t\x01\x1f\x7f\0z", 11));
  EXPECT_EQ(w.Take(), "\"\\\"\\\\/\\n\\r\\t\\u0001\\u001f\x7f\\u0000z\"");
}

TEST(JsonWriter, ReplacesBytesThatAreNoText) {
  Writer w;
  w.BeginObject().Key("k\xff").String("a\xc3").EndObject();
  const std::string text = w.Take();
  EXPECT_EQ(text, "{\"k\xef\xbf\xbd\":\"a\xef\xbf\xbd\"}");
  EXPECT_TRUE(Parse(text).ok());
}

TEST(JsonWriter, DoublesRoundTrip) {
  for (const double value : {0.0, -0.5, 1e300, 5e-324, 1.0 / 3, 100.0}) {
    Writer w;
    w.Double(value);
    EXPECT_EQ(*Parse(w.Take())->AsDouble(), value);
  }
  Writer w;
  w.BeginArray().Double(std::numeric_limits<double>::infinity()).Double(-0.0).EndArray();
  EXPECT_EQ(w.Take(), "[null,0]");
}

TEST(JsonWriter, IsEmptyAfterTake) {
  Writer w;
  w.Int(1);
  EXPECT_EQ(w.Take(), "1");
  w.Int(2);
  EXPECT_EQ(w.Take(), "2");
}

TEST(JsonWriterDeathTest, MisuseAborts) {
  EXPECT_DEATH(Writer().Key("a"), "");
  EXPECT_DEATH(Writer().BeginObject().Int(1), "");
  EXPECT_DEATH(Writer().BeginObject().EndArray(), "");
  EXPECT_DEATH(Writer().BeginObject().Key("a").EndObject(), "");
  EXPECT_DEATH(Writer().Int(1).Int(2), "");
  EXPECT_DEATH(Writer().BeginArray().Take(), "");
}

}  // namespace
}  // namespace minibox::json
