// Threads that share the rows of one step.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace cria {

// run(n, task) calls task(0) .. task(n - 1), each once, on the caller's thread and on up to `size`
// others, and returns when all are done. The tasks must not throw. One caller at a time.
//
// Nobody spins: the cores belong to ggml's threads as soon as this step is over. And nobody waits for
// a thread that has not woken up yet: where all cores are busy, the caller does everything itself.
class ThreadPool {
public:
    ~ThreadPool() { resize(0); }

    void resize(int size) {
        {
            std::lock_guard<std::mutex> lock(mutex);
            stopping = true;
        }
        wake.notify_all();
        for (std::thread & thread : threads) {
            thread.join();
        }
        threads.clear();
        stopping = false;
        while (static_cast<int>(threads.size()) < size) {
            threads.emplace_back([this] { serve(); });
        }
    }

    void run(int n, const std::function<void(int)> & task) {
        const int helpers = std::min(n - 1, static_cast<int>(threads.size()));
        if (helpers > 0) {
            open(n, task);
        }
        for (int i = 0; i < helpers; i++) {
            wake.notify_one();
        }
        if (helpers > 0) {
            work(task, n);
            close();
        } else {
            for (int i = 0; i < n; i++) {
                task(i);
            }
        }
    }

private:
    void open(int n, const std::function<void(int)> & task) {
        std::lock_guard<std::mutex> lock(mutex);
        next = 0;
        count = n;
        round++;
        current = &task;
    }

    // From here on nobody begins, and who began is waited for.
    void close() {
        std::unique_lock<std::mutex> lock(mutex);
        current = nullptr;
        done.wait(lock, [this] { return working == 0; });
    }

    void serve() {
        std::unique_lock<std::mutex> lock(mutex);
        uint64_t seen = 0;
        while (true) {
            wake.wait(lock, [&] { return stopping || (current != nullptr && round != seen); });
            if (stopping) {
                return;
            }
            seen = round;
            working++;
            const std::function<void(int)> & task = *current;
            const int n = count;
            lock.unlock();
            work(task, n);
            lock.lock();
            if (--working == 0 && current == nullptr) {
                done.notify_one();
            }
        }
    }

    void work(const std::function<void(int)> & task, int n) {
        for (int i = next++; i < n; i = next++) {
            task(i);
        }
    }

    std::mutex mutex;
    std::condition_variable wake, done;
    std::vector<std::thread> threads;
    const std::function<void(int)> * current = nullptr;  // while there may be work left
    std::atomic<int> next{0};
    int count = 0;
    int working = 0;  // threads beside the caller's
    uint64_t round = 0;
    bool stopping = false;
};

}  // namespace cria
