/* The peer of the management protocol: takes REQUEST bytes, answers ANSWER bytes, and nothing else.
 * usage: tcp_answer REQUEST ANSWER; prints its port on 127.0.0.1, serves one client. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
    static char data[1 << 16];
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t bytes = sizeof at;
    int yes = 1, door = socket(AF_INET, SOCK_STREAM, 0);
    if (argc != 3) return 2;
    size_t request = strtoul(argv[1], NULL, 10), answer = strtoul(argv[2], NULL, 10);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (request > sizeof data || answer > sizeof data) return 2;
    if (bind(door, (struct sockaddr *)&at, sizeof at) || listen(door, 1) ||
        getsockname(door, (struct sockaddr *)&at, &bytes))
        return 1;
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    int fd = accept(door, NULL, NULL);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    while (recv(fd, data, request, MSG_WAITALL) == (ssize_t)request)
        if (send(fd, data, answer, MSG_NOSIGNAL) != (ssize_t)answer) break;
    return 0;
}
