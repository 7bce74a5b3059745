#pragma once
#include <napi.h>
#include <uv.h>

#include "loop_handle.h"

// Calls a JavaScript function from the event loop itself, in no callback scope: what that function calls in
// Node's C++ then works as when libuv calls it, with ticks and microtasks run after each of its callbacks.
class Deferral : public Napi::ObjectWrap<Deferral> {
 public:
  static void Init(Napi::Env env, Napi::Object exports);

  explicit Deferral(const Napi::CallbackInfo& info);
  ~Deferral() override;

 private:
  // In Node's queue of C++ immediates; null once its deferral is gone.
  struct Immediate {
    Deferral* owner;
  };

  void Schedule(const Napi::CallbackInfo& info);
  void ScheduleImmediate(Napi::Env env);
  void OnTurn();

  const bool is_soon_;
  // Its object cannot be collected then.
  bool is_scheduled_ = false;
  LoopHandle<uv_idle_t, Deferral> idle_;
  Immediate* immediate_ = nullptr;
  Napi::FunctionReference callback_;
};
