#pragma once
#include <napi.h>

#include <array>
#include <cstddef>
#include <vector>

// Private memory for received messages, reused once V8 has collected them.
// Fresh pages cost more than the copy that fills them: a fault and the clearing
// of each. Blocks come in powers of two, as V8 gives them back in any order.
class BlockPool {
 public:
  static constexpr size_t kSmallest = size_t{1} << 15;
  static constexpr size_t kClasses = 8;  // up to 4 MiB

  BlockPool() = default;
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // The class whose blocks hold `length` bytes, or kClasses when none does.
  static size_t ClassOf(size_t length);
  static size_t SizeOf(size_t index) { return kSmallest << index; }

  // Null when there is no memory.
  void* Take(size_t index);
  void Give(void* block, size_t index);

 private:
  // What V8 lets pile up, about, before it collects.
  static constexpr size_t kMostBytes = size_t{1} << 26;

  std::array<std::vector<void*>, kClasses> free_;
  size_t bytes_ = 0;
};

void InitBlockPool(Napi::Env env, Napi::Object exports);
