// g++ -O2 -static -o hello hello.cpp, then: bootstrap function hello, or bootstrap command ./hello
#include <iostream>
#include <iterator>
#include <string>

int main() {
    const std::string event{std::istreambuf_iterator<char>(std::cin), {}};
    std::cerr << "an event of " << event.size() << " bytes\n";
    if (event.empty()) {
        std::cerr << "NoEvent: there is nothing to answer\n";
        return 1;
    }
    std::cout << R"({"hello":"C++","event":)" << event << '}';
}
