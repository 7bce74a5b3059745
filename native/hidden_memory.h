#pragma once
#include <napi.h>

#include <cstdint>
#include <memory>

// V8 takes all memory behind ArrayBuffers for pressure on its heap. Behind those
// of rings are pages that are shared and mostly untouched, and yet it would
// collect at every few of them, milliseconds each. So what it counted is taken
// back, and given again before V8 does the same: a count below nothing aborts the
// process. Hence nothing that is hidden may be collected.
class HiddenMemory : public std::enable_shared_from_this<HiddenMemory> {
 public:
  explicit HiddenMemory(Napi::Env env);

  // Right after an ArrayBuffer was created. False when it stays counted.
  bool Hide(int64_t length);
  // Before it is detached, or may be collected.
  void Show(int64_t length);

 private:
  bool PutSentinel();
  void ShowAll();
  void Count(int64_t change);

  Napi::Env env_;
  bool is_possible_;
  int64_t length_ = 0;
  // At its end an environment detaches its ArrayBuffers, the latest first. This
  // one is made anew after each that is hidden, so that its end comes before theirs.
  Napi::Reference<Napi::ArrayBuffer> sentinel_;
  void* sentinel_data_ = nullptr;
};
