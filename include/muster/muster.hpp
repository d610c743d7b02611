#pragma once
/// What `import asyncio` is in Python: the event loop, tasks, combinators and synchronisation.

#include <muster/core/clock.hpp>
#include <muster/core/coro.hpp>
#include <muster/core/error.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/core/exception_group.hpp>
#include <muster/core/future.hpp>
#include <muster/core/gather.hpp>
#include <muster/core/result.hpp>
#include <muster/core/run.hpp>
#include <muster/core/run_in_executor.hpp>
#include <muster/core/sleep.hpp>
#include <muster/core/task.hpp>
#include <muster/core/task_group.hpp>
#include <muster/core/thread_pool.hpp>
#include <muster/core/timeout.hpp>
#include <muster/sync/background_tasks.hpp>
#include <muster/sync/barrier.hpp>
#include <muster/sync/capacity_limiter.hpp>
#include <muster/sync/channel.hpp>
#include <muster/sync/condition.hpp>
#include <muster/sync/event.hpp>
#include <muster/sync/lock.hpp>
#include <muster/sync/queue.hpp>
#include <muster/sync/rate_limiter.hpp>
#include <muster/sync/semaphore.hpp>
