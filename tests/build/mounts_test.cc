// SPDX-License-Identifier: Apache-2.0
// RUN --mount: what a step sees of caches, secrets, tmpfs and binds, and what stays.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "build/build_fixture.h"

namespace minibox::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
namespace fs = std::filesystem;

std::vector<std::string> LayerNames(const std::map<std::string, std::string>& layer) {
  std::vector<std::string> names;
  for (const auto& [path, what] : layer) names.push_back(path);
  return names;
}

// Whether any file below `root` has `text` in it.
std::vector<std::string> FilesWith(const std::string& root, const std::string& text) {
  std::vector<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file() || entry.is_symlink()) continue;
    if (ReadWholeFile(entry.path()).find(text) != std::string::npos) found.push_back(entry.path());
  }
  return found;
}

TEST_F(BuildTest, CachesStayBetweenBuildsAndEnterNoLayer) {
  const auto text = [](const std::string& step) {
    return "BASE busybox\nBLOCK a\n  RUN --mount=type=cache,target=/var/cache/x "
           "echo $(cat /var/cache/x/seen); echo " +
           step + " >> /var/cache/x/seen; stat -c '%a %u' /var/cache/x; echo > /made\n";
  };
  const auto first = BuildOk(text("1"));
  EXPECT_THAT(first.Of("[a] "), Contains("755 0")) << first.Text();
  EXPECT_THAT(LayerNames(TopLayer(*first.image)), ElementsAre("made"));
  // Another step, so it runs again; the cache is what it was left.
  const auto second = BuildOk(text("2"));
  EXPECT_THAT(second.Of("[a] "), Contains("1"));
  EXPECT_THAT(BuildOk(text("3")).Of("[a] "), Contains("1 2"));
}

TEST_F(BuildTest, CacheOwnerAndModeAreOfTheFirst) {
  const auto result = BuildOk(
      "BASE busybox\nBLOCK a\n  USER www\n  RUN --mount=type=cache,target=/c,uid=1000,gid=2000,"
      "mode=0700 stat -c '%a %u %g' /c; echo > /c/file\n");
  EXPECT_THAT(result.Of("[a] "), Contains("700 1000 2000")) << result.Text();
}

TEST_F(BuildTest, LockedCachesExcludeEachOtherAndPrivateOnesAreApart) {
  // Both blocks run at once; a locked cache lets one in at a time.
  const std::string step =
      "mkdir /c/in || echo over'lap'; sleep 0.2; rmdir /c/in; echo > /$0-$(date +%N)\n";
  const auto locked =
      BuildOk("BASE busybox\nBLOCK a\n  RUN --mount=type=cache,target=/c,sharing=locked : a; " +
              step + "BLOCK b\n  RUN --mount=type=cache,target=/c,sharing=locked : b; " + step +
              "BLOCK end\n  NEED a b\n  RUN echo > /end\n");
  EXPECT_EQ(locked.Count("overlap"), 0) << locked.Text();
  // A private one that is in use is not given to a second step: both find it empty. Each waits
  // in a shared cache until the other has come.
  const auto meet = [](const std::string& me, const std::string& other) {
    return "  RUN --mount=type=cache,target=/c,id=p,sharing=private --mount=type=cache,target=/m "
           "echo " +
           me + ":$(ls /c); touch /c/" + me + " /m/" + me + "; while [ ! -e /m/" + other +
           " ]; do sleep 0.05; done\n";
  };
  const auto apart = BuildOk("BASE busybox\nBLOCK a\n" + meet("one", "two") + "BLOCK b\n" +
                             meet("two", "one") + "BLOCK end\n  NEED a b\n  RUN echo > /end2\n");
  EXPECT_TRUE(apart.Has("[a] one:")) << apart.Text();
  EXPECT_TRUE(apart.Has("[b] two:"));
}

TEST_F(BuildTest, SecretsAreSeenAndLeftNowhere) {
  const std::string secret = "s3cr3t-value-" + std::to_string(getpid());
  BuildOptions options = Options(
      "BASE busybox\nBLOCK a\n  USER www\n  RUN --mount=type=secret,id=one,uid=1000 "
      "--mount=type=secret,id=two,target=/home/www/.rc,mode=0444 "
      "--mount=type=secret,id=three,env=TOKEN "
      "stat -c '%a %u %g' /run/secrets/one /home/www/.rc; wc -c < /run/secrets/one; "
      "md5sum < /home/www/.rc; echo -n $TOKEN | wc -c; grep -c ' /run/secrets/one tmpfs' "
      "/proc/mounts; echo x > /run/secrets/one || echo read-only; echo > /tmp/made\n"
      "  RUN ls /run/secrets /home/www/.rc; echo [$TOKEN]\n");
  options.secrets = {{"one", secret}, {"two", secret}, {"three", secret}};
  const auto result = Build(options);
  ASSERT_TRUE(result.image.ok()) << result.Text();
  const auto lines = result.Of("[a] ");
  for (const auto& line :
       {std::string("400 1000 0"), std::string("444 0 0"), std::to_string(secret.size()),
        std::string("1"), std::string("read-only"), std::string("[]")}) {
    EXPECT_THAT(lines, Contains(line)) << result.Text();
  }
  EXPECT_EQ(result.Count(secret), 0);
  EXPECT_THAT(LayerNames(TopLayer(*result.image)), ElementsAre("tmp", "tmp/made"));
  EXPECT_THAT(FilesWith(root_, secret), ElementsAre());
  // It is in no key: another value changes nothing.
  options.secrets["one"] = "another";
  EXPECT_TRUE(Build(options).Has("[dag-summary] blocks=1 cached=1 built=0"));
}

TEST_F(BuildTest, MissingSecretFailsUnlessItMayBeMissing) {
  const auto result = Build("BASE busybox\nBLOCK a\n  RUN --mount=type=secret,id=key true\n");
  EXPECT_THAT(result.lines.back(), HasSubstr("the build was given no secret 'key'"));
  EXPECT_THAT(BuildOk("BASE busybox\nBLOCK a\n  RUN --mount=type=secret,id=key,required=false "
                      "ls /run/secrets/key || echo none\n")
                  .Of("[a] "),
              Contains("none"));
}

TEST_F(BuildTest, TmpfsIsEmptyAndDiscarded) {
  const auto result = BuildOk(
      "BASE busybox\nBLOCK a\n  RUN --mount=type=tmpfs,target=/data,size=1m ls -A /data | wc -l; "
      "head -c 2000000 /dev/zero > /data/big || echo full; echo > /kept\n");
  EXPECT_THAT(result.Of("[a] "), Contains("0"));
  EXPECT_THAT(result.Of("[a] "), Contains("full")) << result.Text();
  EXPECT_THAT(LayerNames(TopLayer(*result.image)), ElementsAre("kept"));
}

TEST_F(BuildTest, BindsShowTheContextWithoutWhatIsIgnored) {
  Write(".miniboxignore", "*.tmp\n");
  Write("src/main.c", "one");
  Write("src/x.tmp", "ignored");
  Write("src/deep/file", "deep", 0755);
  const std::string text =
      "BASE busybox\nBLOCK a\n  RUN --mount=type=bind,target=/src,source=src find /src -type f | "
      "sort; cat /src/main.c; echo; stat -c '%u %a' /src/deep/file; touch /src/new || echo "
      "read-only\n"
      "  RUN --mount=type=bind,target=/src,source=src,rw echo changed > /src/main.c; cat "
      "/src/main.c\n  RUN --mount=type=bind,target=/f,source=src/main.c cat /f > /copy\n";
  const auto result = BuildOk(text);
  const auto lines = result.Of("[a] ");
  for (const char* line :
       {"/src/main.c", "one", "/src/deep/file", "0 755", "read-only", "changed"}) {
    EXPECT_THAT(lines, Contains(line)) << result.Text();
  }
  EXPECT_THAT(lines, Not(Contains("/src/x.tmp")));
  EXPECT_EQ(ReadWholeFile(context_ + "/src/main.c"), "one");
  EXPECT_THAT(LayerNames(TopLayer(*result.image)), ElementsAre("copy"));
  EXPECT_EQ(Open(*result.image).Read("copy"), "one");
  // What is ignored is in no key, the content is.
  Write("src/x.tmp", "other");
  EXPECT_TRUE(BuildOk(text).Has("[a] CACHED (<d>)"));
  Write("src/main.c", "two");
  EXPECT_TRUE(BuildOk(text).Has("[a] DONE (<d>)"));
}

TEST_F(BuildTest, BindsOfABlockShowItsRootWithItsOwners) {
  const auto result = BuildOk(
      "BASE busybox\nBLOCK tools\n  RUN mkdir -p /out/bin && echo tool > /out/bin/tool && chown -R "
      "1000:2000 /out && chmod 4755 /out/bin/tool\n"
      "BLOCK app\n  RUN --mount=type=bind,from=tools,source=/out,target=/t stat -c '%u:%g %a' "
      "/t/bin/tool; cat /t/bin/tool > /copied\n");
  EXPECT_THAT(result.Of("[app] "), Contains("1000:2000 4755")) << result.Text();
  EXPECT_THAT(LayerNames(TopLayer(*result.image)), ElementsAre("copied"));
}

TEST_F(BuildTest, AutoDepsRunsWhatItFindsAsTheLastAction) {
  // A stand-in for a package manager, so that what is run can be seen.
  Write("npm", "#!/bin/sh\necho npm \"$@\" in $PWD as $(id -un); mkdir node_modules\n", 0755);
  Write("app/package.json", "{}");
  Write("app/package-lock.json", "{}");
  const auto result = BuildOk(
      "BASE busybox\nBLOCK a\n  COPY npm /bin/\n  WORKDIR /app\n  AUTO-DEPS --prod\n"
      "  COPY --chown=www app/ .\n  RUN chown www .\n  USER www\n");
  EXPECT_TRUE(result.Has("[a]    ---> auto-deps: detected package-lock.json → running npm ci"))
      << result.Text();
  EXPECT_TRUE(result.Has("[a] npm ci --omit=dev in /app as www"));
  EXPECT_THAT(TopLayer(*result.image), Contains(Key("app/node_modules")));
  const auto nothing = BuildOk("BASE busybox\nBLOCK a\n  AUTO-DEPS\n");
  EXPECT_TRUE(nothing.Has("[a]    ---> auto-deps: nothing detected"));
  const auto linear = BuildOk("FROM busybox\nENV ANOTHER=key\nAUTO-DEPS\n");
  EXPECT_TRUE(linear.Has("[legacy]    ---> auto-deps: nothing detected")) << linear.Text();
}

TEST_F(BuildTest, FailedStepCanBeKeptAsAnImage) {
  BuildOptions options = Options(
      "BASE busybox\nARG WHO=me\nBLOCK below\n  RUN echo below > /below\n"
      "BLOCK a\n  NEED below\n  WORKDIR /work\n  RUN echo first > first\n"
      "  RUN echo second > second; echo $WHO; exit 3\n");
  options.keep_failed = "app:failed";
  const auto result = Build(options);
  EXPECT_FALSE(result.image.ok());
  EXPECT_EQ(result.Count("[build] kept the failed step as image 'app:failed'"), 1) << result.Text();
  EXPECT_THAT(result.lines.back(), HasSubstr("exit status 3"));
  const auto images = engine_->store->ListImages();
  ASSERT_TRUE(images.ok());
  for (const auto& info : *images) {
    if (info.name != "app:failed") continue;
    const Image image = Open(info);
    EXPECT_EQ(image.Read("below"), "below\n");
    EXPECT_EQ(image.Read("work/first"), "first\n");
    EXPECT_EQ(image.Read("work/second"), "second\n");
    EXPECT_EQ(image.config.working_dir, "/work");
    EXPECT_THAT(image.config.env, Contains("WHO=me"));
    // It is a result of nothing: the next build runs the step again.
    const auto again = Build(options);
    EXPECT_EQ(again.Count("[a] me"), 1);
    return;
  }
  FAIL() << "no image 'app:failed'";
}

TEST_F(BuildTest, ZstdLayersHaveTheSameContent) {
  Write("file", std::string(300000, 'x'));
  const std::string text = "BASE scratch\nBLOCK a\n  COPY file /\n";
  const auto gzip = BuildOk(text);
  BuildOptions options = Options(text);
  options.compression = "zstd";
  const auto zstd = Build(options);
  ASSERT_TRUE(zstd.image.ok()) << zstd.Text();
  EXPECT_TRUE(zstd.Has("[a] CACHED (<d>)"));
  const Image one = Open(*gzip.image), two = Open(*zstd.image);
  EXPECT_EQ(one.config.diff_ids, two.config.diff_ids);
  EXPECT_EQ(two.manifest.layers[0].media_type, "application/vnd.oci.image.layer.v1.tar+zstd");
  EXPECT_NE(one.manifest.layers[0].digest, two.manifest.layers[0].digest);
}

}  // namespace
}  // namespace minibox::testing
