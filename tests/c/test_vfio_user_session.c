/* The vfio-user server's socket and its clients, one at a time. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "vfio_user_client.h"

static size_t open_files(void) {
    size_t n = 0;
    for (int fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void test_pieces_and_floods_are_messages_all_the_same(void) {
    int client = session();
    uint8_t message[HEADER + 20];
    head(message, READ, 16, 0);
    memset(message + HEADER, 0, 20);
    put(message + HEADER, 8, GAS_DEVICE_ID);
    put(message + HEADER + 12, 4, 4);
    for (size_t k = 0; k < HEADER + 16; k++) {
        CHECK_EQ(send(client, message + k, 1, 0), 1);
        if (k % 7 == 0) usleep(200);
    }
    CHECK(whole(client, answer, HEADER + 20));
    CHECK_EQ(get(answer + HEADER + 16, 4), 0x5200);
    /* writes that want no reply, then one read: its answer is the first that comes */
    for (uint32_t k = 0; k < 1000; k++) {
        head(message, WRITE, 20, NO_REPLY);
        put(message + HEADER, 8, 0);
        put(message + HEADER + 16, 4, k);
        CHECK_EQ(send(client, message, HEADER + 20, 0), HEADER + 20);
    }
    CHECK_EQ(peek(client, BAR0, 0, 4), 999);
    head(message, INFO, 16, 0);
    CHECK_EQ(send(client, message, 20, 0), 20); /* half a message, then it leaves */
    close(client);
    close(session());
}

static void test_one_client_at_a_time_and_nothing_of_it_stays(void) {
    int held = session(); /* while one is served, those before it have been closed */
    size_t before = open_files();
    close(held);
    for (int k = 0; k < 20; k++) {
        int client = session(), ram = memory(PAGE), event = eventfd(0, EFD_NONBLOCK);
        CHECK_EQ(map(client, 0, PAGE, 0, 3, ram), 0);
        CHECK_EQ(set_irqs(client, EVENTFD_TRIGGER, MSIX, 0, 1, &event, 1), 0);
        close(ram);
        close(event);
        int next = dial();
        uint8_t message[HEADER + 4] = {0};
        head(message, VERSION, 4, 0);
        CHECK_EQ(send(next, message, sizeof message, 0), sizeof message);
        struct pollfd waits = {.fd = next, .events = POLLIN};
        CHECK_EQ(poll(&waits, 1, 20), 0); /* until the first has left */
        close(client);
        CHECK_EQ(poll(&waits, 1, 10000), 1);
        close(next);
    }
    held = session();
    CHECK_EQ(open_files(), before);
    close(held);
}

/* ---- the socket ---- */

static void test_a_socket_is_private_and_one_server_s(void) {
    struct stat st;
    fab_vfio_user *second = NULL;
    char other[80];
    CHECK_EQ(stat(path, &st), 0);
    CHECK_EQ(st.st_mode & 07777, 0600);
    CHECK_EQ(fab_vfio_user_open(node, 0, path, NULL, &second), -EALREADY);
    CHECK_EQ(fab_vfio_user_open(node, 1, path, NULL, &second), -EBUSY);
    CHECK_EQ(fab_vfio_user_open(node, DEFAULT_SWITCHES, path, NULL, &second), -ENOENT);
    CHECK_EQ(fab_vfio_user_open(node, 1, "", NULL, &second), -EINVAL);
    CHECK_EQ(fab_vfio_user_open(node, 1, "/tmp/no-such-folder/socket", NULL, &second), -ENOENT);
    memset(other, 'x', sizeof other);
    char longest[200];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    CHECK_EQ(fab_vfio_user_open(node, 1, longest, NULL, &second), -ENAMETOOLONG);
    snprintf(other, sizeof other, "%s.file", path);
    close(open(other, O_CREAT | O_WRONLY, 0600));
    CHECK_EQ(fab_vfio_user_open(node, 1, other, NULL, &second), -EEXIST);
    CHECK_EQ(unlink(other), 0);
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    strcpy(where.sun_path, other);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0); /* a dead server's socket: bound, nobody listens */
    CHECK_EQ(bind(dead, (struct sockaddr *)&where, sizeof where), 0);
    close(dead);
    CHECK_EQ(fab_vfio_user_open(node, 1, other, NULL, &second), 0);
    uint32_t value = 9;
    fab_bar_read32(fab_node_bar(node, 1), GAS_MRPC_DMA_VER, &value);
    CHECK_EQ(value, 1);
    fab_vfio_user_close(second);
    CHECK_EQ(access(other, F_OK), -1);
    fab_bar_read32(fab_node_bar(node, 1), GAS_MRPC_DMA_VER, &value);
    CHECK_EQ(value, 0);
    struct fab_vfio_user_options no_dma = {.no_dma = 1};
    CHECK_EQ(fab_vfio_user_open(node, 1, other, &no_dma, &second), 0);
    fab_bar_read32(fab_node_bar(node, 1), GAS_MRPC_DMA_VER, &value);
    CHECK_EQ(value, 0);
    fab_vfio_user_close(second);
}

static void test_closing_ends_the_session_under_way(void) {
    int client = session();
    fab_vfio_user_close(server);
    CHECK(hung_up(client));
    CHECK_EQ(access(path, F_OK), -1);
    close(client);
    server = NULL;
}

int main(void) {
    serve();
    test_pieces_and_floods_are_messages_all_the_same();
    test_one_client_at_a_time_and_nothing_of_it_stays();
    test_a_socket_is_private_and_one_server_s();
    test_closing_ends_the_session_under_way();
    return served();
}
