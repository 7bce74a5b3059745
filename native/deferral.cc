#include "deferral.h"

#include <memory>

#include "error.h"
#include "exports.h"

// In Node since 20.10; node_api.h declares it for experimental modules only, whose other rules are not for us.
extern "C" napi_status NAPI_CDECL node_api_post_finalizer(napi_env env, napi_finalize finalize, void* data, void* hint);

namespace {

// reportUncaught(error): to who listens for it, or the process ends, as after a callback of the event loop. The
// stack of async ids is empty then.
Napi::Value Report(const Napi::CallbackInfo& info) {
  napi_fatal_exception(info.Env(), info[0]);
  return info.Env().Undefined();
}

}  // namespace

void Deferral::Init(Napi::Env env, Napi::Object exports) {
  ExportFunction<Report>(env, exports, "reportUncaught");
  Napi::Function constructor =
      DefineClass(env, "Deferral", {InstanceMethod<&Deferral::Schedule>("schedule")});
  exports.DefineProperty(Napi::PropertyDescriptor::Value("Deferral", constructor, napi_enumerable));
}

// new Deferral(callback, isSoon)
Deferral::Deferral(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<Deferral>(info), is_soon_(info[1].As<Napi::Boolean>()) {
  if (!is_soon_ && !idle_.Open(info.Env(), this, "uv_idle_init", nullptr, uv_idle_init)) return;
  callback_ = Napi::Persistent(info[0].As<Napi::Function>());
}

Deferral::~Deferral() {
  if (immediate_ != nullptr) immediate_->owner = nullptr;
}

// schedule(): the callback is called once, from the event loop, which it keeps alive until then: in its next round, or
// soon, which is among the immediates of Node's C++ code, in their order and before all of JavaScript.
void Deferral::Schedule(const Napi::CallbackInfo& info) {
  if (is_scheduled_ || (!is_soon_ && idle_.get() == nullptr)) return;
  is_scheduled_ = true;
  Ref();
  if (is_soon_) return ScheduleImmediate(info.Env());
  uv_idle_start(idle_.get(), [](uv_idle_t* it) { LoopHandle<uv_idle_t, Deferral>::OwnerOf(it)->OnTurn(); });
}

// Node-API has no call for that queue, but finalizers wait in it.
void Deferral::ScheduleImmediate(Napi::Env env) {
  immediate_ = new Immediate{this};
  auto run = [](napi_env, void* data, void*) {
    std::unique_ptr<Immediate> immediate(static_cast<Immediate*>(data));
    if (immediate->owner == nullptr) return;
    immediate->owner->immediate_ = nullptr;
    immediate->owner->OnTurn();
  };
  node_api_post_finalizer(env, run, immediate_, nullptr);
}

void Deferral::OnTurn() {
  if (idle_.get() != nullptr) uv_idle_stop(idle_.get());
  Napi::Env env = Env();
  Napi::HandleScope scope(env);
  is_scheduled_ = false;
  Unref();
  napi_value result;
  ReportUncaught(env, napi_call_function(env, Value(), callback_.Value(), 0, nullptr, &result));
}
