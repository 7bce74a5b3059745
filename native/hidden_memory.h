#pragma once
#include <napi.h>

#include <cstdint>

#include "sentinel.h"

// V8 takes all memory behind ArrayBuffers for pressure on its heap. Behind those
// of rings are pages that are shared and mostly untouched, and yet it would
// collect at every few of them, milliseconds each. So what it counted is taken
// back, and given again before V8 does the same: a count below nothing aborts the
// process. Hence nothing that is hidden may be collected.
class HiddenMemory : public Sentinel {
 public:
  explicit HiddenMemory(Napi::Env env);

  // Right after an ArrayBuffer was created. False when it stays counted.
  bool Hide(int64_t length);
  // Before it is detached, or may be collected.
  void Show(int64_t length);

 private:
  void BuffersEnd() override;
  void Count(int64_t change);

  bool is_possible_;
  int64_t length_ = 0;
};
