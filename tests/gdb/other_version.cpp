// Stands for a program with a muster whose insides are not those that muster_gdb.py knows.
namespace muster::detail {

class LoopCore {
public:
    static LoopCore* newest_;
    int something_else = 0;
};

LoopCore* LoopCore::newest_ = new LoopCore;

} // namespace muster::detail

int main() { return muster::detail::LoopCore::newest_->something_else; }
