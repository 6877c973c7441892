/* cc -O2 -static -o hello hello.c, then: bootstrap function hello, or bootstrap command ./hello */
#include <stdio.h>

int main(void) {
    int byte = getchar();
    fputs("an event\n", stderr);
    if (byte == EOF) {
        fputs("NoEvent: there is nothing to answer\n", stderr);
        return 1;
    }
    fputs("{\"hello\":\"C\",\"event\":", stdout);
    for (; byte != EOF; byte = getchar()) {
        putchar(byte);
    }
    putchar('}');
    return 0;
}
