#pragma once
#include <napi.h>
#include <uv.h>

#include <memory>

class FileDescriptor;

// A uv_poll handle on a Descriptor: calls back on this environment's loop when
// it is readable or hung up. It keeps its descriptor open until libuv let go.
class Poll : public Napi::ObjectWrap<Poll> {
 public:
  static void Init(Napi::Env env, Napi::Object exports);
  explicit Poll(const Napi::CallbackInfo& info);
  ~Poll() override;

 private:
  // Outlives the JavaScript object until uv_close has called back.
  struct Handle {
    uv_poll_t poll;
    std::shared_ptr<FileDescriptor> descriptor;
    Poll* owner;
    napi_async_cleanup_hook_handle hook;
  };

  void Start(const Napi::CallbackInfo& info);
  void Stop(const Napi::CallbackInfo& info);
  void RefLoop(const Napi::CallbackInfo& info);
  void UnrefLoop(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  void CloseHandle();
  void OnEvents();
  static void OnEnvironmentEnds(napi_async_cleanup_hook_handle hook, void* data);

  Handle* handle_ = nullptr;
  Napi::FunctionReference callback_;
  std::unique_ptr<Napi::AsyncContext> context_;
};
