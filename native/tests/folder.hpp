#pragma once
// A folder that is gone with the test that made it.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace ringcraft {

struct Folder {
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "ringcraft-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return path + "/" + name; }
  std::string path;
};

}  // namespace ringcraft
